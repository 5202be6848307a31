"""What all tests share."""

import os
import zipfile
from pathlib import Path

import pytest

pytest_plugins = ["no_network", "tiers", "one_converter"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The processes that tests start find tests/support as the tests do.
SUPPORT = str(Path(__file__).parent / "support")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SUPPORT, os.environ.get("PYTHONPATH")]))


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


@pytest.fixture(scope="session")
def bccd_file(test_data, tmp_path_factory, worker_id):
    """A function of one of `bccd_files.KINDS` to the file's path, which all processes of the tests share."""
    import fcntl

    from bccd_files import write

    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent

    def file(kind):
        path = folder / f"bccd_{kind}.tflite"
        with open(folder / "bccd.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return path if path.exists() else write(path, kind, test_data)

    return file


@pytest.fixture(scope="module")
def unset_kernels():
    """Kernels of zeros, where networks are only counted: random numbers are most of the time of a large one."""
    import keras

    def zeros(self, shape, dtype=None, **_):
        return keras.ops.zeros(shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
        yield


@pytest.fixture(scope="session")
def make_detector():
    """`shallow_detector`, a function."""
    from small_networks import shallow_detector

    return shallow_detector


@pytest.fixture(scope="session")
def detector():
    """A detector of few layers that no test may change."""
    import keras
    from small_networks import shallow_detector

    keras.utils.set_random_seed(0)
    return shallow_detector()


@pytest.fixture
def make_voc(tmp_path):
    """`small_voc` in a folder of the test's own, a function of its other arguments."""
    from small_data import small_voc

    return lambda **options: small_voc(tmp_path / "voc", **options)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with a detector for `COLORS`, and files that are none."""
    import keras
    from small_data import COLORS
    from small_networks import shallow_detector

    folder = tmp_path_factory.mktemp("models")
    shallow_detector(classes=tuple(COLORS)).save(folder / "detector.keras")
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
