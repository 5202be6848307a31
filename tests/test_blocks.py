"""The small parts, against plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cspkeras import blocks
from cspkeras.layers import GroupedConv2D, Maxout, Upsample

RNG = np.random.default_rng(0)


def randomize(model):
    """Set random weights, with variances so small that the batch-norms' epsilon counts."""
    for weight in model.weights:
        values = RNG.normal(size=weight.shape)
        weight.assign(np.abs(values) * 1e-4 if weight.path.endswith("moving_variance") else values)


def normalize(x, layer):
    gamma, beta, mean, variance = layer.get_weights()
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def convolve(x, kernel, stride, before, after):
    """Convolve (H, W, C), padded explicitly, in plain loops."""
    side = len(kernel)
    x = np.pad(x, ((before, after), (before, after), (0, 0)))
    rows, columns = (range(0, n - side + 1, stride) for n in x.shape[:2])
    return np.array([[np.tensordot(x[r : r + side, c : c + side], kernel, 3) for c in columns] for r in rows])


@pytest.mark.parametrize(
    ("kernel", "strides", "size", "padding"),
    [
        (1, 1, (4, 5), (0, 0)),
        (1, 2, (6, 5), (0, 0)),
        (3, 1, (6, 5), (1, 1)),
        (3, 2, (6, 8), (1, 0)),
        (3, 2, (5, 7), (1, 1)),
        (7, 2, (8, 10), (3, 2)),
        (7, 2, (9, 7), (3, 3)),
    ],
)
def test_convolutions_are_padded_as_in_darknet(kernel, strides, size, padding):
    image = layers.Input((*size, 3))
    model = keras.Model(image, blocks.conv_bn_act(image, 4, kernel, strides=strides, activation=None, name="c"))
    randomize(model)
    x = RNG.normal(size=(2, *size, 3)).astype("float32")
    (weights,) = model.get_layer("c").get_weights()
    expected = np.stack([normalize(convolve(one, weights, strides, *padding), model.get_layer("c_bn")) for one in x])
    assert expected.shape[1:3] == tuple(-(-side // strides) for side in size)
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("filters", "groups", "layer_class"),
    [(6, 1, layers.Conv2D), (6, 2, GroupedConv2D), (4, 4, layers.DepthwiseConv2D), (12, 4, layers.DepthwiseConv2D)],
)
@pytest.mark.parametrize("strides", [1, 2])
def test_each_group_of_channels_has_filters_of_its_own(filters, groups, layer_class, strides):
    image = layers.Input((6, 8, 4))
    options = dict(strides=strides, groups=groups, activation=None)
    model = keras.Model(image, blocks.conv_bn_act(image, filters, 3, **options, name="c"))
    assert type(model.get_layer("c")) is layer_class
    randomize(model)
    (weights,) = model.get_layer("c").get_weights()
    # As a .weights file has it: one filter after the other, each with the input channels of its group.
    weights = weights.reshape(3, 3, 4 // groups, filters)
    x = RNG.normal(size=(1, 6, 8, 4)).astype("float32")
    parts = [
        convolve(one, kernel, strides, 1, 1 if strides == 1 else 0)
        for one, kernel in zip(np.split(x[0], groups, axis=-1), np.split(weights, groups, axis=-1), strict=True)
    ]
    expected = normalize(np.concatenate(parts, axis=-1), model.get_layer("c_bn"))
    np.testing.assert_allclose(model(x, training=False)[0], expected, rtol=1e-4, atol=1e-3)


def test_the_pre_activated_order():
    image = layers.Input((4, 4, 3))
    model = keras.Model(image, blocks.bn_act_conv(image, 5, 1, name="c"))
    assert [layer.name for layer in model.layers[1:]] == ["c_bn", "c_act", "c"]
    randomize(model)
    x = RNG.normal(size=(2, 4, 4, 3)).astype("float32")
    (weights,) = model.get_layer("c").get_weights()
    expected = normalize(x, model.get_layer("c_bn")).clip(0) @ weights[0, 0]
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-3, atol=1e-3)


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.1 * x)),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("swish", lambda x: x * sigmoid(x)),
        ("relu", lambda x: x.clip(0)),
        ("relu6", lambda x: x.clip(0, 6)),
        ("hard_swish", lambda x: x * (x + 3).clip(0, 6) / 6),
    ],
)
def test_activations(activation, function):
    x = np.linspace(-9, 9, 37)
    np.testing.assert_allclose(blocks.activate(tf.constant(x), activation, "a"), function(x), atol=1e-6)


def test_every_activation_can_be_chosen_and_linear_adds_no_layer():
    x = layers.Input((4,))
    for activation in (*blocks.ACTIVATIONS, None):
        out = blocks.activate(x, activation, "a")
        assert (out is x) == (activation in ("linear", None))


@pytest.mark.parametrize("activation", ["gelu", "Relu", "", 3])
def test_an_unknown_activation_is_an_error(activation):
    with pytest.raises(ValueError, match=rf"one of leaky_relu, mish, .* Received: activation={activation!r}"):
        blocks.activate(layers.Input((4,)), activation, "a")


def names(model):
    return {layer.name for layer in model.layers[1:]}


@pytest.mark.parametrize(
    ("options", "suffixes"),
    [
        ({}, ["", "_bn", "_act"]),
        ({"activation": "linear"}, ["", "_bn"]),
        ({"activation": "relu", "kernel": 3}, ["", "_bn", "_act"]),
        ({"kernel": 3, "strides": 2}, ["_pad", "", "_bn", "_act"]),
    ],
)
def test_convolutions_name_their_layers_and_have_no_bias(options, suffixes):
    image = layers.Input((8, 8, 3))
    model = keras.Model(image, blocks.conv_bn_act(image, 4, **options, name="part"))
    assert [layer.name for layer in model.layers[1:]] == [f"part{suffix}" for suffix in suffixes]
    assert not model.get_layer("part").use_bias


def test_the_two_way_dense_layer_adds_its_growth_behind_its_input():
    image = layers.Input((8, 8, 6))
    model = keras.Model(image, blocks.dense_layer_two_way(image, 8, 5, name="d"))
    ways = {"far_conv1": (1, 6, 5), "far_conv2": (3, 5, 4), "far_conv3": (3, 4, 4)}
    ways |= {"near_conv1": (1, 6, 5), "near_conv2": (3, 5, 4)}
    for name, (kernel, inputs, filters) in ways.items():
        assert model.get_layer(f"d_{name}").kernel.shape == (kernel, kernel, inputs, filters)
    assert names(model) == {f"d_{name}{suffix}" for name in ways for suffix in ("", "_bn", "_act")} | {"d_concat"}
    inputs = [tensor._keras_history.operation.name for tensor in model.get_layer("d_concat").input]
    assert inputs == [image._keras_history.operation.name, "d_far_conv3_act", "d_near_conv2_act"]
    assert model.output_shape == (None, 8, 8, 14)


def test_squeeze_and_excitation_gates_what_a_dense_layer_adds():
    image = layers.Input((8, 8, 6))
    model = keras.Model(image, blocks.dense_layer_two_way(image, 8, 5, se=True, name="d"))
    assert [x.shape[-1] for x in model.get_layer("d_se_multiply").input] == [8, 8]
    inputs = [tensor._keras_history.operation.name for tensor in model.get_layer("d_concat").input]
    assert inputs == [image._keras_history.operation.name, "d_se_multiply"]


def test_squeeze_and_excitation_gates_each_channel():
    image = layers.Input((4, 6, 3))
    model = keras.Model(image, blocks.squeeze_excite(image, 2, activation="relu", name="n"))
    randomize(model)
    x = RNG.normal(size=(2, 4, 6, 3)).astype("float32")
    (w1, b1), (w2, b2) = (model.get_layer(f"n_se_{name}").get_weights() for name in ("squeeze", "excite"))
    gate = sigmoid((x.mean((1, 2)) @ w1[0, 0] + b1).clip(0) @ w2[0, 0] + b2)
    np.testing.assert_allclose(model(x), x * gate[:, None, None], rtol=1e-4, atol=1e-5)


def test_elastic_blocks_run_one_half_at_half_resolution():
    seen = {}

    def branch(x, name):
        seen[name] = x.shape[1:]
        return layers.Rescaling(2.0, name=f"{name}_branch")(x)

    image = layers.Input((4, 6, 6))
    model = keras.Model(image, blocks.elastic(image, branch, name="e"))
    assert seen == {"e_high": (4, 6, 3), "e_low": (2, 3, 3)}
    x = RNG.normal(size=(2, 4, 6, 6)).astype("float32")
    low = x[..., 3:].reshape(2, 2, 2, 3, 2, 3).max((2, 4)).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(model(x), 2 * np.concatenate([x[..., :3], low], axis=-1), rtol=1e-6)


def test_spatial_attention_gates_its_input():
    image = layers.Input((4, 4, 3))
    model = keras.Model(image, blocks.spatial_attention(image, name="n"))
    randomize(model)
    x = RNG.normal(size=(2, 4, 4, 3)).astype("float32")
    (weights,) = model.get_layer("n_sam").get_weights()
    gate = sigmoid(normalize(x @ weights[0, 0], model.get_layer("n_sam_bn")))
    np.testing.assert_allclose(model(x), x * gate, rtol=1e-3, atol=1e-5)


@pytest.mark.integration
def test_all_parts_load_in_safe_mode(tmp_path):
    image = layers.Input((8, 8, 3))
    x = image
    for activation in blocks.ACTIVATIONS:
        x = blocks.conv_bn_act(x, 4, 3, activation=activation, name=activation)
    x = blocks.spatial_attention(blocks.dense_layer_two_way(x, 4, 4, name="dense"), name="n")
    model = keras.Model(image, Upsample(3, name="up")(Maxout(2, name="maxout")(x)))
    model.save(tmp_path / "parts.keras")
    loaded = keras.saving.load_model(tmp_path / "parts.keras", safe_mode=True)
    x = RNG.normal(size=(1, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert (loaded.get_layer("maxout").filters, loaded.get_layer("up").size) == (2, 3)
