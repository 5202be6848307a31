"""What all tests share."""

import os
import zipfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """On a continuous integration machine nothing may be skipped unnoticed: there a skip is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome, report.longrepr = "failed", f"skipped, which CI does not accept: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def test_data():
    """The folder of images and reference outputs that some tests compare with."""
    folder = os.environ.get("CSPKERAS_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("CSPKERAS_TEST_DATA does not name the folder with the test data")
    return Path(folder)


def small_detector(size=64, classes=3, width=64):
    """A CSPPeleeNet + EFM small enough for a test, its weights as initialized."""
    from cspkeras.backbones import peleenet
    from cspkeras.detection import Detector

    spec = peleenet.PeleeSpec(blocks=(1, 2, 4, 2), cross_stage=True, stem=8, growth_rate=16, bottleneck=(8, 8, 16, 16))
    backbone = peleenet.build(spec, include_top=False, input_shape=(size, size, 3))
    return Detector(backbone, "efm", classes, neck_options={"width": width, "sam": True})


@pytest.fixture(scope="session")
def make_detector():
    """`small_detector`, a function."""
    return small_detector


@pytest.fixture(scope="session")
def detector():
    """A small detector that no test may change."""
    import keras

    keras.utils.set_random_seed(0)
    return small_detector()


OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
ANNOTATION = "<annotation><size><width>{}</width><height>{}</height></size>{}</annotation>"
COLORS = {"blue": (40, 60, 220), "green": (30, 200, 60), "red": (220, 50, 30)}  # a class and its objects' colour


def small_voc(folder, train=6, val=2, size=(64, 48)):
    """A Pascal VOC folder of made-up images, `size` (width, height), with a solid rectangle of each of `COLORS`."""
    import numpy as np
    from PIL import Image

    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    width, height = size
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        names = [f"{split}{i}" for i in range(count)]
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            image, objects = np.full((height, width, 3), 128, "uint8"), ""
            for column, (label, color) in enumerate(COLORS.items()):
                x, y = column * width // 3 + rng.integers(1, width // 12), rng.integers(1, height // 3)
                w, h = rng.integers(width // 6, width // 4), rng.integers(height // 3, height // 2)
                image[y : y + h, x : x + w] = color
                objects += OBJECT.format(label, x, y, x + w, y + h)
            Image.fromarray(image).save(folder / f"JPEGImages/{name}.png")
            (folder / f"Annotations/{name}.xml").write_text(ANNOTATION.format(width, height, objects))
    return folder


@pytest.fixture
def make_voc(tmp_path):
    """`small_voc` in a folder of the test's own, a function of its other arguments."""
    return lambda **options: small_voc(tmp_path / "voc", **options)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with a detector for `COLORS`, and files that are none."""
    import keras

    folder = tmp_path_factory.mktemp("models")
    small_detector(classes=tuple(COLORS)).save(folder / "detector.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="plain").save(folder / "plain.keras")
    (folder / "text.keras").write_text("no model")
    (folder / "text.tflite").write_text("no model")
    (folder / "empty.keras").touch()
    (folder / "empty.tflite").touch()
    (folder / "bare.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with zipfile.ZipFile(folder / "zip.keras", "w") as archive:
        archive.writestr("config.json", "{")
    (folder / "folder.keras").mkdir()
    return folder


@pytest.fixture
def one_error(capsys):
    """A function that runs the `cspkeras` command, which must fail, and gives its one line on the standard error."""
    from cspkeras.commands.main import main

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as e:  # argparse's own
            status = e.code
        captured = capsys.readouterr()
        assert status not in (0, None), captured
        assert not captured.out, captured.out
        (line,) = captured.err.splitlines()
        assert line.startswith("cspkeras: ")
        return line

    return run
