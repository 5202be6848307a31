"""Every named detector reaches the GPU whole as float16, and what they are made of as int8 as well."""

import keras
import numpy as np
import pytest
from conftest import enliven

import cspkeras
from cspkeras.tflite import check, convert
from cspkeras.tflite.convert import reference

PICTURES = np.random.default_rng(0).uniform(0, 1, (4, 96, 96, 3)).astype("float32")
OPTIONS = {"CSPPeleeNetEFM": {"spp": True}}
# Quantizing takes most of the time. These have all the others' layers between them, the necks mish as well.
QUANTIZED = ("CSPPeleeNetEFM", "YOLOXNano", "YOLOv4Tiny")
NECKS = {"gfm": {}, "panet_spp": {"width": 64}}


def settle(model):
    """Keep an untrained network's signals alive: its norms take the pictures' statistics.

    Their shift of one leaves most values where activations are linear. Behind a hundred random layers that are not,
    the smallest error grows to a result of its own.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(keras.ops.ones_like(layer.beta))
            layer.momentum = 0.0
    model(PICTURES, training=True)
    return enliven(model, PICTURES)


def check_precision(model, precision, folder):
    """Convert and check; floats agree, and quantized values do but for what untrained layers make of rounding."""
    calibration = (picture[None] for picture in PICTURES) if precision == "int8" else None
    path = convert(model, folder / f"{precision}.tflite", precision, calibration)
    checked = check(path, reference=reference(model), images=PICTURES[:1], runs=1)
    assert checked.precision == precision
    if checked.gpu_delegated is None:
        pytest.skip(checked.gpu_note)
    assert checked.gpu_delegated, checked.table()
    if precision == "int8":
        assert checked.gpu_to_cpu.rms < 0.3, checked.table()
    else:
        assert checked.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("name", cspkeras.list_detectors())
def test_a_named_detectors_files_are_delegated_whole(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = settle(cspkeras.get_detector(name, classes=3, input_shape=PICTURES.shape[1:], **OPTIONS.get(name, {})))
    check_precision(model, "float16", tmp_path)
    if name in QUANTIZED:
        check_precision(model, "int8", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("neck", NECKS)
def test_a_necks_files_are_delegated_whole(neck, tmp_path):
    keras.utils.set_random_seed(0)
    backbone = cspkeras.CSPDarknet53Tiny(include_top=False, input_shape=PICTURES.shape[1:], activation="mish")
    model = settle(cspkeras.Detector(backbone, neck, 3, neck_options=NECKS[neck]))
    check_precision(model, "float16", tmp_path)
    check_precision(model, "int8", tmp_path)
