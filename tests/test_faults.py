"""Faults in the middle of a command: the old output or the new one, whole, and a line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faults
import pytest

from cspkeras.commands.main import main
from cspkeras.files import replacing
from cspkeras.training.run.folder import check_folder, reserved

pytestmark = pytest.mark.integration


def test_killed_and_on_a_full_disk(tmp_path):
    """A short run of benchmarks/faults.py."""
    output = tmp_path / "faults.json"
    command = [
        sys.executable,
        faults.__file__,
        "data pack",
        "data show",
        "--kills",
        "2",
        "--ends",
        "2",
        "--output",
        output,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    rows = json.loads(output.read_text())["commands"]
    assert done.returncode == 0, done.stdout
    for row in rows.values():
        assert (row["whole"], row["ended"], row["faults"]) == (2, 2, [])
        assert row["full_disk"]["of the output"].endswith("can't be written, the disk is full"), row


@pytest.mark.parametrize(
    "name, damage", [("a.npz", 100), ("a.png", 10), ("a.html", 5), ("a.csv", 3), ("a.tfrecord", 3)]
)
def test_a_cut_file_is_not_whole(name, damage, tmp_path):
    """The benchmark sees what it looks for."""
    import numpy as np
    from PIL import Image

    path = tmp_path / name
    np.savez(tmp_path / "a.npz", a=np.ones(9))
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "a.html").write_text("<!doctype html><html></html>\n")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.tfrecord").write_bytes((4).to_bytes(8, "little") + bytes(12))
    faults.look(path)
    path.write_bytes(path.read_bytes()[:-damage])
    with pytest.raises(Exception):  # noqa: B017
        faults.look(path)


def test_sigterm_ends_a_command_in_a_line(monkeypatch, make_voc, capsys, tmp_path):
    """It takes what is half-written with it."""
    import tensorflow as tf

    class Writer:
        def __init__(self, path):
            Path(path).write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(tf.io, "TFRecordWriter", Writer)
    assert main(["data", "pack", str(make_voc()), "--output", str(tmp_path / "packed")]) == 143
    assert capsys.readouterr().err.splitlines()[-1] == "cspkeras: ended by SIGTERM"
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["label_map.pbtxt"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_dead_process_holds_nothing(tmp_path):
    """The folder of its run is free, and what it was writing is cleared."""
    ready, told = os.pipe()
    if not (process := os.fork()):
        with reserved(tmp_path), replacing(tmp_path / "last.npz") as aside:
            aside.write_text("half")
            os.write(told, b".")
            time.sleep(600)
    os.read(ready, 1)
    try:
        with pytest.raises(BlockingIOError, match=f"^{tmp_path}: another run is at work there; "):
            check_folder(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    with reserved(tmp_path), replacing(tmp_path / "last.npz") as aside:
        aside.write_text("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_a_standard_output_that_is_closed(tmp_path):
    """What is written elsewhere is not what was meant for it."""
    code = "import sys; from cspkeras.commands.main import main; sys.exit(main(sys.argv[1:]))"
    command = f'"$0" -c "{code}" analyze CSPDarknet53Tiny --size 64 --html "$1" >&-'
    done = subprocess.run(["sh", "-c", command, sys.executable, tmp_path / "a.html"], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    faults.look(tmp_path / "a.html")
