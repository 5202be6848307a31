"""Where a run may begin."""

import errno
import os
import shutil
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from cspkeras.files import replacing
from cspkeras.training.run.folder import check_folder, clear, reserved
from cspkeras.training.run.state import save_state

RUN = ("last.npz", "best.npz", "best.keras", "results.csv", "recipe.json", "report.html")


def test_folders_that_are_fine(tmp_path):
    check_folder(tmp_path / "a/b/c")
    check_folder(tmp_path)
    (tmp_path / "last.npz").touch()
    check_folder(tmp_path, resume=True)
    check_folder(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["last.npz"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    (
        ({}, FileExistsError, "{}: holds a run already; --resume continues it, --overwrite replaces it"),
        ({"resume": True, "overwrite": True}, ValueError, "--resume and --overwrite: a run is resumed or replaced"),
    ),
)
def test_a_folder_with_a_run(options, error, message, tmp_path):
    (tmp_path / "last.npz").touch()
    with pytest.raises(error, match=f"^{message.format(tmp_path)}"):
        check_folder(tmp_path, **options)


@pytest.mark.parametrize("inside", ("", "new/run"))
@pytest.mark.parametrize("how", ("forbidden", "read-only", "full"))
def test_folders_that_cannot_be_written(how, inside, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    number = {"forbidden": errno.EACCES, "read-only": errno.EROFS, "full": errno.ENOSPC}[how]
    if how == "forbidden":
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:
        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match=f"^{tmp_path}: can't be written \\({os.strerror(number)}\\), expected a folder"):
        check_folder(tmp_path / inside)


def test_what_is_cleared_is_the_runs_alone(tmp_path):
    for name in (*RUN, "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "tensorboard").mkdir()
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_disk_that_is_full_while_a_file_is_written(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match=f"^{tmp_path}/a: can't be written, the disk is full$"), replacing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_state_that_the_disk_has_no_room_for(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=500))
    needed = sum(np.asarray(weight).nbytes for weight in detector.weights) / 1e6
    message = f"^{tmp_path}/best.npz: can't be written, it needs {needed:.1f} MB and 0.0 are free$"
    with pytest.raises(OSError, match=message):
        save_state(tmp_path / "best.npz", detector, {}, optimizer=False)
    assert not list(tmp_path.iterdir())


def test_a_run_keeps_others_out(tmp_path):
    folder = tmp_path / "run"
    message = f"^{folder}: another run is at work there; wait for its end or name another folder$"
    with reserved(folder):
        with pytest.raises(BlockingIOError, match=message):
            check_folder(folder, overwrite=True)
        with pytest.raises(BlockingIOError, match=message), reserved(folder):
            pytest.fail("two at once")
    assert not folder.exists()  # nothing was written
    folder.mkdir()
    with reserved(folder):
        pass
    check_folder(folder)
