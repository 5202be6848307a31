"""The end-to-end demo, as `make demo` runs it: what it promises, and when it begins, resumes or is finished."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from cspkeras.commands.main import main
from cspkeras.demo import run as demo_run
from cspkeras.demo.drawn import drawn_case
from cspkeras.demo.run import demo
from cspkeras.tflite.device.detect import Detector
from cspkeras.training.run.state import LAST

FINISHED = {"int8": {"mAP50": 0.9}}
STATES = f"training/{LAST}", f"quantization/{LAST}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished demo: the one that CSPKERAS_DEMO_RUN names, or one made now."""
    if given := os.environ.get("CSPKERAS_DEMO_RUN"):
        return Path(given)
    folder = tmp_path_factory.mktemp("demo")
    demo(drawn_case(), folder)
    return folder


class Started(BaseException):  # which no command reports as an error
    """A demo has begun with its work."""


@pytest.fixture
def case(monkeypatch):
    """The demo of digits, which raises `Started` where it begins or resumes."""

    def start(*_):
        raise Started

    case = dataclasses.replace(drawn_case(), prepare=start)
    monkeypatch.setattr("cspkeras.demo.drawn.drawn_case", lambda: case)
    return case


@pytest.fixture
def finished(case, tmp_path):
    """The folder of a finished demo."""
    settings = {"version": demo_run.__version__, "command": case.command, **case.constants, "plan": None}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    for name in (*STATES, "report.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "results.json").write_text(json.dumps(FINISHED))
    return tmp_path


def states(folder):
    return tuple(name for name in STATES if (folder / name).exists())


def test_a_finished_demo_is_not_run_again(case, finished, capsys):
    assert demo(case, finished) == FINISHED
    capsys.readouterr()
    assert main(["demo", "--run", str(finished)]) == 0
    assert capsys.readouterr().out == (
        f"{finished}: holds the finished demo; its report is {finished}/report.html; "
        f"to run it again: cspkeras demo --run {finished} --overwrite\n"
    )


def test_overwrite_runs_a_finished_demo_again(finished):
    with pytest.raises(Started):
        main(["demo", "--run", str(finished), "--overwrite"])
    assert not (finished / "results.json").exists() and not states(finished)


@pytest.mark.parametrize("changed", ("version", "recipe", "no settings", "bad settings"))
def test_a_finished_demo_of_other_settings_is_run_again(changed, case, finished, monkeypatch):
    if changed == "version":
        monkeypatch.setattr(demo_run, "__version__", "0.0.0")
    elif changed == "recipe":
        case.constants["training"]["epochs"] += 1
    elif changed == "no settings":
        (finished / "settings.json").unlink()
    else:
        (finished / "settings.json").write_text("{")
    with pytest.raises(Started):
        demo(case, finished)
    assert not (finished / "results.json").exists() and not states(finished)


def test_an_interrupted_demo_is_resumed(case, finished):
    (finished / "results.json").unlink()
    with pytest.raises(Started):
        demo(case, finished)
    assert states(finished) == STATES


def test_the_demo_of_another_command_is_kept(case, finished, one_error, make_voc):
    other = one_error("demo", "--data", make_voc(), "--run", finished)
    assert other.startswith(f"cspkeras: {finished}: holds the demo of cspkeras demo; --run names another folder")
    assert states(finished) == STATES and json.loads((finished / "results.json").read_text()) == FINISHED


@pytest.mark.slow
def test_the_demo_keeps_its_promises(run):
    results = json.loads((run / "results.json").read_text())
    assert list(results) == ["keras", "float16", "int8"]
    for row in results.values():
        assert list(row) == ["mAP", "mAP50", "size_bytes", "latency_ms", "gpu_delegated"]
    assert results["keras"]["mAP50"] >= 0.90
    assert results["keras"]["mAP50"] - results["int8"]["mAP50"] <= 0.02
    assert results["keras"]["mAP50"] - results["float16"]["mAP50"] <= 0.005
    if results["int8"]["gpu_delegated"] is None:
        pytest.skip("no Vulkan driver, so nothing is known of the GPU")
    assert results["float16"]["gpu_delegated"] and results["int8"]["gpu_delegated"]


@pytest.mark.slow
def test_the_report_stands_alone(run):
    page = (run / "report.html").read_text()
    assert "http://" not in page and "https://" not in page
    for wanted in ("mAP50", "Keras", "float16", "int8", "<svg", "data:image/"):
        assert wanted in page


@pytest.mark.slow
def test_the_devices_script_found_the_digits(run):
    found = json.loads((run / "found/found.json").read_text())
    assert len(found) == len(list((run / "images").glob("*.png"))) > 0
    assert sum(len(image["detections"]) for image in found) >= 2 * len(found)
    assert Detector(run / "int8.tflite").labels == list("0123456789")
