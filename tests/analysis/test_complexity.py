"""Parameters, BFLOPs and memory traffic, against counts by hand."""

import keras
import pytest
from keras import layers

from cspkeras.analysis import complexity
from cspkeras.detection.heads import RawHead
from cspkeras.layers import ChannelSlice, GroupedConv2D, Maxout, Shortcut, Upsample


def model_of(layer, shape=(8, 10, 4)):
    image = layers.Input(shape)
    return keras.Model(image, layer(image))


@pytest.mark.parametrize(
    ("layer", "weights", "operations"),
    [
        (layers.Conv2D(6, 1), 4 * 6, 2 * 4 * 6 * 8 * 10),
        (layers.Conv2D(6, 3, padding="same", use_bias=False), 9 * 4 * 6, 2 * 9 * 4 * 6 * 8 * 10),
        (layers.Conv2D(6, 3, strides=2, padding="same"), 9 * 4 * 6, 2 * 9 * 4 * 6 * 4 * 5),
        (layers.Conv2D(6, (3, 5)), 15 * 4 * 6, 2 * 15 * 4 * 6 * 6 * 6),
        (layers.Conv2D(6, 3, padding="same", groups=2), 9 * 2 * 6, 2 * 9 * 2 * 6 * 8 * 10),
        (GroupedConv2D(6, 3, padding="same", groups=2), 9 * 2 * 6, 2 * 9 * 2 * 6 * 8 * 10),
        (layers.DepthwiseConv2D(3, padding="same"), 9 * 4, 2 * 9 * 4 * 8 * 10),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 9 * 8, 2 * 9 * 8 * 8 * 10),
        (layers.Dense(7), 4 * 7, 2 * 4 * 7 * 8 * 10),
        (layers.MaxPooling2D(2), 0, 2 * 2 * 4 * 4 * 5),
        (layers.MaxPooling2D(3, strides=1, padding="same"), 0, 3 * 3 * 4 * 8 * 10),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_a_layer_costs(layer, weights, operations):
    cost = complexity(model_of(layer))
    assert cost.weights == weights
    assert cost.layers == {layer.name: operations / 1e9}
    assert cost.costliest == (layer.name, cost.bflops)


def test_a_layer_costs_at_each_of_its_calls_and_holds_its_weights_once():
    convolution = layers.Conv2D(4, 1, name="shared")
    fine, coarse = layers.Input((8, 8, 4)), layers.Input((4, 4, 4))
    cost = complexity(keras.Model([fine, coarse], [convolution(fine), convolution(coarse)]))
    shared = {"shared": 2 * 16 * 64 / 1e9, "shared_2": 2 * 16 * 16 / 1e9}
    assert sorted(cost.layers.values()) == sorted(shared.values()) and set(cost.layers) == set(shared)
    assert (cost.trainable, cost.weights, cost.cio) == (4 * 4 + 4, 16, 2 * 4 * (64 + 16))


@pytest.mark.parametrize(
    "layer",
    [
        layers.BatchNormalization(),
        layers.Activation("mish"),
        layers.LeakyReLU(),
        layers.ReLU(),
        layers.Softmax(),
        layers.ZeroPadding2D(1),
        layers.AveragePooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(),
        layers.Flatten(),
        layers.Reshape((10, 8, 4)),
        layers.Dropout(0.5),
        layers.Rescaling(2.0),
        ChannelSlice(1, 3),
        Maxout(2),
        Upsample(),
    ],
    ids=lambda layer: layer.name,
)
def test_what_counts_nothing(layer):
    cost = complexity(model_of(layer))
    assert (cost.weights, cost.layers, cost.bflops) == (0, {}, 0)


SIZE = 8 * 10 * 4  # of the image


@pytest.mark.parametrize(
    ("layer", "elements"),
    [
        (layers.Conv2D(6, 3), SIZE + 6 * 8 * 6),
        (GroupedConv2D(6, 3, padding="same", groups=2), SIZE + 8 * 10 * 6),
        (layers.DepthwiseConv2D(3, strides=2, padding="same"), SIZE + 4 * 5 * 4),
        (layers.Dense(7), SIZE + 8 * 10 * 7),
        (layers.Dense(7, activation="softmax"), SIZE + 8 * 10 * 7 + 2 * 8 * 10 * 7),
        (layers.Softmax(), 2 * SIZE),
        (layers.Activation("softmax"), 2 * SIZE),
        (layers.MaxPooling2D(2), SIZE + 4 * 5 * 4),
        (layers.AveragePooling2D(2), SIZE + 4 * 5 * 4),
        (layers.GlobalAveragePooling2D(), SIZE + 4),
        (layers.GlobalMaxPooling2D(), SIZE + 4),
        (layers.BatchNormalization(), 0),
        (layers.Activation("mish"), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_a_layer_reads_and_writes(layer, elements):
    assert complexity(model_of(layer)).cio == elements


def test_a_padding_belongs_to_its_convolution():
    pad = layers.ZeroPadding2D(1)
    assert complexity(model_of(lambda x: layers.Conv2D(6, 3, strides=2)(pad(x)))).cio == SIZE + 4 * 5 * 6


def test_a_shortcut_counts_nothing():
    cost = complexity(model_of(lambda x: Shortcut()([x, x])))
    assert (cost.weights, cost.layers, cost.cio) == (0, {}, 0)


def test_a_whole_model():
    image = layers.Input((8, 10, 4))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Concatenate()([layers.Add()([x, image]), layers.Multiply()([x, image])])
    boxes, scores = (layers.Conv2D(filters, 1, name=f"conv{filters}")(x) for filters in (8, 6))
    cost = complexity(keras.Model(image, RawHead(2)([boxes, scores])))
    weights = {"first": 9 * 4 * 4, "conv8": 8 * 8, "conv6": 8 * 6}
    assert cost.layers == {name: 2 * count * 80 / 1e9 for name, count in weights.items()}
    assert cost.bflops == pytest.approx(2 * 80 * sum(weights.values()) / 1e9)
    assert cost.weights == sum(weights.values())
    assert cost.trainable == cost.weights + 2 * 4 + 8 + 6  # gamma and beta of the batch-norm, two biases
    assert cost.costliest[0] == "first"
    kinds = {layer.name: (layer.kind, layer.shape, layer.activations) for layer in cost.each}
    assert kinds["first"] == ("Conv2D 3x3", (8, 10, 4), 8 * 10 * 4)
    assert (kinds["conv8"][0], set(kinds)) == ("Conv2D 1x1", {"first", "conv8", "conv6"})


@pytest.mark.parametrize(
    "layer",
    [layers.Conv2DTranspose(3, 2, name="odd"), layers.UpSampling2D(name="odd"), layers.Permute((2, 1, 3), name="odd")],
)
def test_an_unknown_layer_is_an_error_naming_it(layer):
    with pytest.raises(ValueError, match=rf"layer 'odd' \({type(layer).__name__}\) is not known; known are Conv2D, "):
        complexity(model_of(layer))


def test_an_unknown_operation_is_an_error_too():
    image = layers.Input((8, 10, 4))
    with pytest.raises(ValueError, match=r"\(Exp\) is not known"):
        complexity(keras.Model(image, keras.ops.exp(image)))


def test_a_flexible_size_is_an_error():
    model = model_of(layers.Conv2D(2, 1), (None, 10, 4))
    with pytest.raises(ValueError, match=r"fixed input size. Received: .* with \(None, None, 10, 4\)"):
        complexity(model)
