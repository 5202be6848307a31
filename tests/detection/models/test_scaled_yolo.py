"""Scaled YOLOv4 and YOLOv7-tiny, narrow and shallow: they answer as Darknet does with their cfgs, train and export."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from numpy_darknet import save
from scaled_cfgs import CLASSES, scaled_yolov4, yolov7_tiny

import cspkeras
from cspkeras import from_darknet
from cspkeras.backbones import darknet, darknet_tiny
from cspkeras.detection.models import assembly, scaled_yolo
from cspkeras.tflite import convert
from cspkeras.tflite.device import detect as device
from cspkeras.training import calibrate, quantize_aware

SIDE, WIDTHS = 64, (8, 8, 16, 16, 32)
ROWS = {  # by a network: its narrow backbone, and its cfg; YOLOv4P5 is YOLOv4P6 without its last stage
    "YOLOv4CSP": (
        dict(blocks=(1, 2, 1, 1, 1), widths=WIDTHS, first_parts=0),
        partial(scaled_yolov4, plain_first=True, each=2, heads_last=False, anchors=3),
    ),
    "YOLOv4P6": (
        dict(blocks=(1, 1, 1, 1, 1, 1), widths=(*WIDTHS, 32), first_parts=1),
        partial(scaled_yolov4, plain_first=False, each=3, heads_last=True, anchors=4),
    ),
    "YOLOv7Tiny": (None, yolov7_tiny),
}


def narrow(name, weights=None, size=SIDE, **options):
    """One of the networks, narrow and shallow, and with few classes."""
    row, spec = ROWS[name][0], scaled_yolo.VARIANTS[name]
    if row:
        backbone = partial(darknet.build, darknet.DarknetSpec(cross_stage=True, stem=8, **row))
    else:
        backbone = partial(darknet_tiny.build_elan, 8)
    activation = "mish" if row else "leaky_relu"
    options = dict(classes=CLASSES, input_shape=(size, size, 3), activation=activation, name=name.lower(), **options)
    return assembly.build(replace(spec, backbone=backbone), weights=weights, skip_mismatch=False, **options)


def cfg_of(name):
    row, cfg = ROWS[name]
    return cfg(row["blocks"], row["widths"]) if row else cfg(stem=8)


@pytest.mark.integration
@pytest.mark.parametrize("name", ROWS)
def test_a_network_answers_as_darknet_does_with_its_cfg(tmp_path, name):
    network = cfg_of(name)
    cfg, weights, image, outputs = save(tmp_path, network, SIDE, SIDE)
    heads = [i - 1 for i, (section, _) in enumerate(network) if section == "yolo"]
    model = narrow(name, weights)
    assert model.anchors.coding == "scaled" and len(heads) == len(model.anchors.levels)
    found, same = model(image, training=False), from_darknet(cfg, weights)(image, training=False)
    for head, other, expected in zip(found, same, [outputs[index] for index in heads], strict=True):
        assert head.shape == expected.shape
        assert np.abs(head - expected).max() < 1e-4 * np.abs(expected).max() > np.abs(head - other).max()


@pytest.mark.parametrize("name", scaled_yolo.VARIANTS)
def test_the_anchors_are_those_of_the_cfg(name):
    anchors = scaled_yolo.VARIANTS[name].anchors
    sizes = {"YOLOv4CSP": (9, 459), "YOLOv4P5": (12, 800), "YOLOv4P6": (16, 1024), "YOLOv7Tiny": (9, 373)}
    assert (len(anchors.pairs), anchors.pairs[-1][0]) == sizes[name]
    assert anchors.coding == "scaled" and set(anchors.scale_xy) == {2.0}
    assert scaled_yolo.VARIANTS[name].stride == (64 if name == "YOLOv4P6" else 32)


def test_a_pyramid_of_six_stages_ends_in_p6():
    shapes = {level: x.shape[1:3] for level, x in cspkeras.pyramid(narrow("YOLOv4P6").backbone).items()}
    assert shapes == {f"P{k}": (64 >> k, 64 >> k) for k in range(1, 7)}


@pytest.fixture(scope="module")
def trained():
    """YOLOv4P6, narrow, fitted to one picture: a bright square of 24 pixels."""
    keras.utils.set_random_seed(0)
    image = np.zeros((1, SIDE, SIDE, 3), "float32")
    image[:, 16:40, 24:48] = 1
    target = {"boxes": np.float32([[[24, 16, 48, 40]]]) / SIDE, "labels": np.array([[1]])}
    model = narrow("YOLOv4P6")
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(image, target, epochs=60, verbose=0).history["loss"]
    return model, image, history


@pytest.mark.integration
def test_four_levels_train_detect_quantize_and_export(trained, tmp_path):
    model, image, history = trained
    assert history[-1] < 0.1 * history[0]
    picture = (image[0] * 255).astype("uint8")
    quantized = calibrate(quantize_aware(model), [image])
    files = [convert(model, tmp_path / "float32.tflite"), convert(quantized, tmp_path / "int8.tflite", "int8")]
    (found,) = model.detect([picture])
    assert found["labels"].tolist() == [1] and np.abs(found["boxes"] - [24, 16, 48, 40]).max() < 2
    for path, pixels in zip(files, (0.01, 3), strict=True):
        (same,) = device.Detector(path).detect(picture)["boxes"]
        assert np.abs(same - found["boxes"]).max() < pixels
