"""Scaled YOLOv4 and YOLOv7-tiny, narrow and shallow: they answer as Darknet does with their cfgs, train and export."""

import re
import runpy
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


@pytest.mark.slow
def test_the_published_cfg_is_yolov4_csp(test_data, tmp_path):
    """Whose maps are the logistic of the detector's."""
    synthetic = runpy.run_path(str(test_data / "goldens" / "synthetic.py"))
    cfg, weights = tmp_path / "x.cfg", tmp_path / "x.weights"
    text = (test_data / "darknet_cfg" / "yolov4-csp.cfg").read_text()
    cfg.write_text(re.sub(r"(?m)^(width|height)\s*=.*$", rf"\1={SIDE}", text))
    synthetic["write_darknet"](cfg, weights)
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 3), "float32")
    found = cspkeras.YOLOv4CSP(input_shape=(SIDE, SIDE, 3), weights=weights)(image, training=False)
    for head, expected in zip(found, from_darknet(cfg, weights)(image, training=False), strict=True):
        np.testing.assert_allclose(keras.ops.sigmoid(head), expected, rtol=1e-4, atol=1e-6)


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


def four_levels():
    """A detector of YOLOv4P6's neck, heads and anchors upon a convolution a stage."""
    x = image = keras.Input((SIDE, SIDE, 3))
    for stage in range(1, 7):
        x = keras.layers.Conv2D(16, 3, 2, padding="same", activation="relu", name=f"stage{stage}_conv")(x)
    spec = replace(scaled_yolo.VARIANTS["YOLOv4P6"], neck_options={"blocks": 1})
    build = partial(assembly.build, replace(spec, backbone=lambda **_: keras.Model(image, x)), skip_mismatch=False)
    return build(classes=CLASSES, input_shape=(SIDE, SIDE, 3), activation="leaky_relu", name="four")


@pytest.mark.slow
def test_four_levels_train_detect_quantize_and_export(tmp_path):
    keras.utils.set_random_seed(0)
    image = np.zeros((1, SIDE, SIDE, 3), "float32")
    image[:, 16:40, 24:48] = 1
    target = {"boxes": np.float32([[[24, 16, 48, 40]]]) / SIDE, "labels": np.array([[1]])}
    model = four_levels()
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    history = model.fit(image.repeat(2, 0), {k: v.repeat(2, 0) for k, v in target.items()}, epochs=60, verbose=0)
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]
    picture = (image[0] * 255).astype("uint8")
    found = model.detect([picture], score_threshold=0.5)[0]  # the coarsest map has one cell, where no batch-norm learns
    assert set(found["labels"]) == {1}
    same = device.Detector(convert(model, tmp_path / "float32.tflite")).detect(picture, 0.5)
    np.testing.assert_allclose(same["boxes"], found["boxes"], atol=0.01)
    integers = convert(calibrate(quantize_aware(model), [image]), tmp_path / "int8.tflite", "int8")
    assert set(device.Detector(integers).detect(picture)["labels"]) == {1}
