"""What all tests share."""

import os
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
    """The folder of pictures and reference outputs that some tests compare with."""
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


@pytest.fixture
def make_detector():
    """`small_detector`, a function."""
    return small_detector


@pytest.fixture(scope="session")
def detector():
    """A small detector that no test may change."""
    import keras

    keras.utils.set_random_seed(0)
    return small_detector()
