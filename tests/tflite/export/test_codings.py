"""Detectors of every coding as files: what the file decodes, what its reader decodes, and what Keras finds."""

from dataclasses import replace

import keras
import numpy as np
import plain_boxes
import pytest
from plain_boxes import CODED
from same_objects import differences
from tiny_files import converted
from untrained import spread_outputs

from cspkeras.detection import Detector
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.boxes import corners, decode_boxes
from cspkeras.detection.codings import CODINGS
from cspkeras.detection.detection import detect
from cspkeras.tflite import convert
from cspkeras.tflite.device import detect as device
from cspkeras.tflite.export import metadata
from cspkeras.tflite.export.settings import decoding_of
from cspkeras.tflite.runtime import litert
from cspkeras.training import calibrate, quantize_aware

pytestmark = pytest.mark.integration
BASE = Anchors.of([(12, 18), (40, 30)], (64, 64), (16, 32), (1.2, 1.1))
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), "uint8")
CONVERTED = {True: "yolo", False: "distances"}  # by objectness: to the network all others are like these


def backbone():
    """A convolution a stage."""
    keras.utils.set_random_seed(3)
    x = image = keras.Input((64, 64, 3))
    for stage in range(1, 6):
        x = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu", name=f"stage{stage}_conv")(x)
    return keras.Model(image, x)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By objectness a detector, its quantized form and this as a file of integers, whose boxes are raw."""
    folder, images, found = tmp_path_factory.mktemp("codings"), IMAGES.astype("float32") / 255, {}
    for objectness, coding in CONVERTED.items():
        anchors, options = replace(BASE, coding=coding), {"objectness": objectness}
        model = Detector(backbone(), "fpn_tiny", 3, anchors=anchors, neck_options={"width": 8}, head_options=options)
        spread_outputs(model, images)
        for layer in model.layers:
            if layer.name.endswith("_boxes"):
                layer.bias.assign(layer.bias + 1)  # so that most distances are positive
        quantized = calibrate(quantize_aware(model), [images])
        path = convert(quantized, folder / f"{coding}.tflite", "int8", io="int8", decode="host")
        found[objectness] = model, quantized, path
    return found


def listed(found):
    columns = zip(found["boxes"], found["labels"], found["scores"], strict=True)
    return [{"box": box, "label": label, "score": score} for box, label, score in columns]


def unlike(these, others):
    """The sure objects of these that have no like in the others; slivers at the image's edge may be lost."""
    sure = (these["boxes"][:, 2:] - these["boxes"][:, :2] > 6).all(axis=1) & (these["scores"] > 0.3)
    near = np.abs(these["boxes"][:, None] - others["boxes"]).max(axis=-1) < 6
    near &= np.abs(these["scores"][:, None] - others["scores"]) < 0.05
    near &= these["labels"][:, None] == others["labels"]
    return these["boxes"][sure & ~near.any(axis=1)].tolist()


@pytest.mark.parametrize("coding", CODINGS)
def test_raw_integers_are_decoded_to_what_keras_finds(made, tmp_path, coding):
    anchors = replace(BASE, coding=coding)
    _, quantized, path = made[anchors.objectness]
    settings, labels = metadata.read(path)
    assert settings["decode"] == decoding_of(replace(BASE, coding=CONVERTED[anchors.objectness]))
    changed = metadata.attach(path.read_bytes(), settings | {"decode": decoding_of(anchors)}, labels)
    path = tmp_path / "x.tflite"
    path.write_bytes(changed)
    (expected,) = detect(quantized.predict_on_batch, anchors, IMAGES[:1], iou_threshold=1.0)
    found = device.Detector(path).detect(IMAGES[0], iou_threshold=1.0)
    assert len(expected["boxes"]) >= 5
    assert not unlike(found, expected) and not unlike(expected, found)


@pytest.mark.parametrize("objectness", CONVERTED)
def test_a_file_that_decodes_finds_what_keras_finds(made, tmp_path, objectness):
    model, *_ = made[objectness]
    found = device.Detector(convert(model, tmp_path / "x.tflite")).detect(IMAGES[0])
    differences(listed(found), listed(model.detect(IMAGES[:1])[0]), pixels=0.01, score=1e-4)


def test_decoding_in_a_file_is_exact_on_cpu_and_gpu(tmp_path):
    counts = {coding: len(anchors.grid().origins) for coding, anchors in CODED.items()}
    raw = np.random.default_rng(0).normal(0, 2, (1, max(counts.values()), 4)).astype("float32")

    def decoded(x):
        return {coding: decode_boxes(x[:, : counts[coding]], anchors.grid()) for coding, anchors in CODED.items()}

    path = tmp_path / "x.tflite"
    path.write_bytes(converted(decoded, raw.shape))
    cpu = litert.run_cpu(path, raw)
    gpu = litert.run_gpu(path, cpu)
    if not gpu.device:
        pytest.skip("no Vulkan device")
    assert gpu.delegated and not gpu.rejected, gpu
    for coding, anchors in CODED.items():
        wanted = np.array(plain_boxes.boxes(anchors, raw[0, : counts[coding]])) / np.tile(anchors.size[::-1], 2)
        for outputs in (cpu.outputs, gpu.outputs):
            np.testing.assert_allclose(corners(outputs[coding][0, 0]), wanted, rtol=1e-4, atol=1e-4)
