"""Dividing a stage and fusing it again: the paper's figure 3, by structure."""

import keras
import pytest
from keras import layers

from cspkeras.blocks import conv_bn_act
from cspkeras.cross_stage import FUSIONS, cross_stage, part_widths

CHANNELS, WIDTH = 32, 24  # of the stage's input and of what its blocks give


def build(**options):
    """Build a model of one divided stage."""
    image = layers.Input((8, 8, CHANNELS))

    def stage(x):
        return conv_bn_act(x, WIDTH, 3, name="blocks")

    return keras.Model(image, cross_stage(image, stage, **options, name="s"))


def source(layer, index=0):
    """Return the name of the layer that a layer's input comes from."""
    tensors = keras.tree.flatten(layer.input)
    return tensors[index]._keras_history.operation.name


# The convolutions that divide and join, and the channels that each gives.
DIVIDING = {"s_part1": 16, "s_part2": 16}


@pytest.mark.parametrize(
    ("options", "convolutions", "width"),
    [
        ({}, {**DIVIDING, "s_part2_transition": 24, "s_transition": 40}, 40),
        ({"fusion": "csp"}, {**DIVIDING, "s_part2_transition": 24, "s_transition": 40}, 40),
        ({"fusion": "fusion_first"}, {**DIVIDING, "s_transition": 40}, 40),
        ({"fusion": "fusion_last"}, {**DIVIDING, "s_part2_transition": 24}, 40),
        ({"part_transition": 12}, {**DIVIDING, "s_part2_transition": 12, "s_transition": 28}, 28),
        ({"transition": 48}, {**DIVIDING, "s_part2_transition": 24, "s_transition": 48}, 48),
        ({"transition_name": "m"}, {**DIVIDING, "s_part2_transition": 24, "m": 40}, 40),
        ({"gamma": 0.25}, {"s_part1": 8, "s_part2": 24, "s_part2_transition": 24, "s_transition": 32}, 32),
        ({"gamma": 0.75, "fusion": "fusion_first"}, {"s_part1": 24, "s_part2": 8, "s_transition": 48}, 48),
        ({"channels": 48}, {"s_part1": 24, "s_part2": 24, "s_part2_transition": 24, "s_transition": 48}, 48),
        (
            {"gamma": 0.7, "multiple": 8},
            {"s_part1": 24, "s_part2": 8, "s_part2_transition": 24, "s_transition": 48},
            48,
        ),
        ({"gamma": 0.7}, {"s_part1": 22, "s_part2": 10, "s_part2_transition": 24, "s_transition": 46}, 46),
    ],
)
def test_which_convolutions_divide_and_join(options, convolutions, width):
    model = build(**options)
    pointwise = [layer for layer in model.layers if isinstance(layer, layers.Conv2D) and layer.name != "blocks"]
    assert {layer.name: layer.filters for layer in pointwise} == convolutions
    assert all(layer.kernel_size == (1, 1) for layer in pointwise)
    assert model.output_shape == (None, 8, 8, width)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_blocks_see_part_2_alone_and_it_comes_first_in_the_concatenation(fusion):
    model = build(fusion=fusion)
    image = model.layers[0].name
    assert source(model.get_layer("s_part1")) == source(model.get_layer("s_part2")) == image
    assert source(model.get_layer("blocks")) == "s_part2_act"
    part2 = "blocks_act" if fusion == "fusion_first" else "s_part2_transition_act"
    assert [source(model.get_layer("s_fuse"), i) for i in (0, 1)] == [part2, "s_part1_act"]
    last = "s_fuse" if fusion == "fusion_last" else "s_transition_act"
    assert model.output._keras_history.operation.name == last


@pytest.mark.parametrize("fusion", FUSIONS)
def test_pooling_lies_between_the_concatenation_and_the_transition(fusion):
    model = build(fusion=fusion, pool=layers.MaxPooling2D(2, name="pool"))
    assert source(model.get_layer("pool")) == "s_fuse"
    assert model.output_shape == (None, 4, 4, 40)
    if fusion != "fusion_last":
        assert source(model.get_layer("s_transition")) == "pool"


def test_the_activation_is_that_of_all_dividing_and_joining_convolutions():
    model = build(activation="mish")
    for name in ("s_part1", "s_part2", "s_part2_transition", "s_transition"):
        assert model.get_layer(f"{name}_act").activation is keras.activations.mish
    linear = build(activation=None)
    assert not [layer.name for layer in linear.layers if layer.name.startswith("s_") and layer.name.endswith("_act")]


@pytest.mark.parametrize("gamma", [0, 1, -0.5, 1.5, float("nan")])
def test_gamma_must_lie_between_0_and_1(gamma):
    with pytest.raises(ValueError, match=f"between 0 and 1. Received: gamma={gamma}"):
        build(gamma=gamma)


@pytest.mark.parametrize("fusion", ["first", "CSP", None])
def test_an_unknown_fusion_is_an_error(fusion):
    with pytest.raises(ValueError, match=f"csp, fusion_first, fusion_last. Received: fusion={fusion!r}"):
        build(fusion=fusion)


@pytest.mark.parametrize(
    ("channels", "gamma", "multiple", "widths"),
    [
        (64, 0.5, 1, (32, 32)),
        (64, 0.25, 1, (16, 48)),
        (64, 0.3, 1, (19, 45)),
        (64, 0.3, 8, (16, 48)),
        (64, 0.01, 8, (8, 56)),
        (64, 0.99, 8, (56, 8)),
        (64, 0.001, 1, (1, 63)),
    ],
)
def test_parts_are_multiples_and_never_empty(channels, gamma, multiple, widths):
    assert part_widths(channels, gamma, multiple) == widths
