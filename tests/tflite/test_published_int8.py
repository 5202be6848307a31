"""A published detector in 8 bits, without training data: what it loses on photographs."""

import pytest

import cspkeras
from cspkeras.tflite import convert
from cspkeras.training import evaluate, read
from cspkeras.training.evaluation import load_detect
from cspkeras.training.pipeline import images


@pytest.mark.slow
def test_the_published_nano_keeps_its_accuracy(test_data, tmp_path):
    weights, listing = test_data / "models" / "yolox_nano.onnx", test_data / "data" / "coco_free" / "instances.json"
    if not (weights.is_file() and listing.is_file()):
        pytest.skip(f"{weights} or {listing} is missing")
    data = read(listing)
    model = cspkeras.YOLOXNano(classes=data.class_names, weights=weights)
    exact = evaluate(model.detect, data)["mAP"]
    calibration = images(data, model.anchors.size, 16)
    path = convert(model, tmp_path / "int8.tflite", "int8", calibration, refine_steps=300)
    assert evaluate(load_detect(path)[0], data)["mAP"] >= exact - 0.02
