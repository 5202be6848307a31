"""Damaged .tflite files: the device's script says what is wrong in one line, whatever the runtime makes of them."""

import subprocess
import sys
from pathlib import Path

import cell_detector
import numpy as np
import pytest
from cell_detector import LABELS, drawn_image, networks, settings
from PIL import Image

from cspkeras.tflite.device import detect, frames
from cspkeras.tflite.export import metadata
from cspkeras.tflite.runtime.litert import LiteRTError, run_cpu

SCRIPT = Path(detect.__file__).resolve()
# The script's own command line for many files in one process: what would kill it kills the child that tries a file out.
MANY = (
    "import sys; sys.path.insert(0, sys.argv[1]); import detect\n"
    "for file in sys.argv[3:]: print('status', detect.main([file, sys.argv[2]]), flush=True)"
)


def mutants(count, seed=0):
    """Files with some bytes of the network changed; the settings after it stay whole."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        content = bytearray(networks()["float32"])
        for place in rng.integers(8, len(content), rng.integers(1, 20)):
            content[place] = rng.integers(256)
        yield bytes(content)


@pytest.fixture
def files(tmp_path):
    paths = []
    for i, content in enumerate(mutants(60)):
        path = tmp_path / f"{i}.tflite"
        try:
            path.write_bytes(metadata.attach(content, settings(), LABELS))
        except ValueError:  # no longer a .tflite file by its first bytes
            path.write_bytes(content)
        paths.append(path)
    return paths


@pytest.mark.slow
def test_the_script_outlives_damaged_files(files, tmp_path):
    Image.fromarray(drawn_image(96, 64)).save(tmp_path / "black.png")
    command = [sys.executable, "-c", MANY, str(SCRIPT.parent), str(tmp_path / "black.png"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    statuses = [line for line in done.stdout.splitlines() if line.startswith("status")]
    assert done.returncode == 0 and len(statuses) == len(files), done.stderr[-500:]
    assert set(statuses) == {"status 0", "status 1"}  # some are only other numbers
    assert "Traceback" not in done.stderr
    assert done.stderr.count("detect.py: ") == statuses.count("status 1")


@pytest.mark.slow
def test_check_outlives_damaged_files(files):
    for path in files[:4]:
        try:
            run_cpu(path)
        except LiteRTError as error:
            assert "\n" not in str(error) and path.name in str(error)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_file_cut_off_is_named(tmp_path, share):
    whole = cell_detector.write(tmp_path / "whole.tflite").read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        ValueError, match="cut.tflite: (not a .tflite file, but an empty one|carries no cspkeras settings)"
    ):
        detect.Detector(path)


def test_images_of_random_bytes_are_skipped(tmp_path):
    rng, whole = np.random.default_rng(1), tmp_path / "whole.png"
    Image.fromarray(drawn_image(96, 64)).save(whole)
    for i in range(40):
        content = bytearray(whole.read_bytes())
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(256)
        (tmp_path / f"{i}.png").write_bytes(content)
    for _, number, found in frames.frames([str(tmp_path)]):
        assert number is None and isinstance(found, np.ndarray | Exception)
