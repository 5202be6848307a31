"""The Exact Fusion Model: what it costs, how it is wired, which level reaches which scale."""

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.detection.necks.exact_fusion import efm

LEVELS = {"P2": (32, 16), "P3": (16, 32), "P4": (8, 32), "P5": (4, 40)}  # side, channels


@pytest.fixture(scope="module")
def inputs():
    return {level: layers.Input((side, side, channels), name=level) for level, (side, channels) in LEVELS.items()}


@pytest.fixture(scope="module")
def model(inputs):
    """The neck alone, 32 channels wide, with SAM."""
    keras.utils.set_random_seed(0)
    return keras.Model(inputs, efm(inputs, width=32, sam=True))


def test_the_maps_of_each_scale(model):
    shapes = {level: tensor.shape[1:] for level, tensor in model.output.items()}
    assert shapes == {"P3": (16, 16, 8), "P4": (8, 8, 16), "P5": (4, 4, 16)}


@pytest.mark.parametrize(
    ("fusion", "side", "sources"),
    [
        # Down the pyramid: the next coarser scale and the scale itself; at stride 16 the next finer too.
        ("p4", 8, {"p5_narrow_up": 16, "p4_maxout": 16}),
        ("p4_mid", 8, {"p4_narrow_act": 8, "p3_strided_act": 8}),
        ("p3", 16, {"p4_mid_narrow_up": 4, "p3_own_maxout": 4}),
        # The exact fusions: the scale itself, the next finer and the next coarser.
        ("p3_fusion", 16, {"p3_narrow_act": 4, "p2_strided_act": 4, "p4_mid_up": 8}),
        ("p4_fusion", 8, {"p3_down_act": 16, "p4_mid_conv2_act": 8, "p5_up": 8}),
        ("p5_fusion", 4, {"p4_down_act": 32, "p5_maxout": 8}),
    ],
)
def test_what_each_fusion_joins(model, fusion, side, sources):
    tensors = model.get_layer(f"neck_{fusion}_concat").input
    found = {tensor._keras_history.operation.name: tensor.shape[1:] for tensor in tensors}
    assert found == {f"neck_{name}": (side, side, channels) for name, channels in sources.items()}


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("p4_maxout", "P4"),
        ("p3_maxout", "P3"),
        ("p3_own_maxout", "P3"),
        ("p2_maxout", "P2"),
        ("p5_maxout", "p5_conv2_act"),
        ("p5_narrow", "p5_conv2_act"),
        ("p5_up", "p5_maxout"),
        ("p4_mid_up", "p4_mid_conv2_act"),
        ("p3_down_pad", "p3_fusion_conv2_act"),
        ("p4_down_pad", "p4_fusion_conv2_act"),
    ],
)
def test_where_the_joined_maps_come_from(model, name, sources):
    expected = sources if sources in LEVELS else f"neck_{sources}"
    assert model.get_layer(f"neck_{name}").input._keras_history.operation.name == expected


REACH = {
    "neck_p5_conv2_act": {"P5"},
    "neck_p4_conv2_act": {"P4", "P5"},
    "neck_p4_mid_conv2_act": {"P3", "P4", "P5"},
    "neck_p3_conv2_act": {"P3", "P4", "P5"},
    "neck_p3_fusion_conv2_act": {"P2", "P3", "P4", "P5"},
    "neck_p4_fusion_conv2_act": {"P2", "P3", "P4", "P5"},
    "neck_p5_fusion_conv2_act": {"P2", "P3", "P4", "P5"},
}


def test_which_levels_reach_which_map(inputs, model):
    maps = keras.Model(inputs, {name: model.get_layer(name).output for name in REACH})
    rng = np.random.default_rng(0)
    x = {level: rng.normal(size=(1, *tensor.shape[1:])).astype("float32") for level, tensor in inputs.items()}
    before = maps(x)
    reached = {name: set() for name in REACH}
    for level in LEVELS:
        after = maps({**x, level: np.zeros_like(x[level])})
        for name in REACH:
            if np.abs(after[name] - before[name]).max() > 1e-6:
                reached[name].add(level)
    assert reached == REACH


@pytest.mark.parametrize("sam", [False, True])
def test_spatial_attention_gates_each_exact_fusion(inputs, sam):
    neck = keras.Model(inputs, efm(inputs, width=32, sam=sam))
    gates = {layer.name for layer in neck.layers if isinstance(layer, layers.Multiply)}
    assert gates == ({f"neck_p{k}_fusion_sam_multiply" for k in (3, 4, 5)} if sam else set())


def test_the_activation_is_that_of_all_convolutions_but_the_gates(inputs):
    neck = keras.Model(inputs, efm(inputs, width=32, sam=True, activation="mish"))
    found = {layer.name: layer.activation for layer in neck.layers if isinstance(layer, layers.Activation)}
    gates = {name for name, function in found.items() if function is keras.activations.sigmoid}
    assert gates == {f"neck_p{k}_fusion_sam_gate" for k in (3, 4, 5)}
    assert {found[name] for name in found.keys() - gates} == {keras.activations.mish}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"width": 48}, "width must be a multiple of 32. Received: width=48"),
        ({"activation": "gelu"}, "Received: activation='gelu'"),
    ],
)
def test_wrong_arguments_are_named(inputs, options, error):
    with pytest.raises(ValueError, match=error):
        efm(inputs, **options)


def test_missing_levels_are_named(inputs):
    with pytest.raises(ValueError, match="needs the pyramid levels P2 to P5. Missing: P2, P4"):
        efm({level: inputs[level] for level in ("P3", "P5")}, width=32)
