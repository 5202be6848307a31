"""The whole way once, as `make demo` goes it."""

import json
import os
from pathlib import Path

import pytest

from cspkeras.tflite.device.detect import Detector


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished demo: the one that CSPKERAS_DEMO_RUN names, or one made now."""
    if given := os.environ.get("CSPKERAS_DEMO_RUN"):
        return Path(given)
    from cspkeras.demo.run import demo

    folder = tmp_path_factory.mktemp("demo")
    demo(folder)
    return folder


@pytest.mark.slow
def test_the_demo_keeps_its_promises(run):
    results = json.loads((run / "results.json").read_text())
    assert list(results) == ["keras", "float16", "int8"]
    for row in results.values():
        assert list(row) == ["mAP50", "mAP", "size_bytes", "latency_ms", "gpu_delegated"]
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
    found = json.loads((run / "detections" / "detections.json").read_text())
    assert len(found) == len(list((run / "scenes").glob("*.png"))) > 0
    assert sum(len(image["detections"]) for image in found) >= 2 * len(found)
    assert Detector(run / "int8.tflite").labels == list("0123456789")
