"""What a classifier's outputs are, by the forms in which an activation may come last."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers, ops

from cspkeras.classification.pixels import BYTES, recognized_pixels
from cspkeras.classification.scores import in_two, score_kind
from cspkeras.training import quantize_aware


class Softened(layers.Layer):
    """A user's layer without weights."""

    def call(self, x):
        return ops.softmax(x)


class SigmoidHead(layers.Layer):
    """A user's layer with weights, its activation inside."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def call(self, x):
        return ops.sigmoid(self.dense(x))


class FakeQuantized(layers.Layer):
    """As the layers that `quantize_aware` adds, before it has been calibrated."""

    def build(self, shape):
        self.high = self.add_weight(shape=(), initializer="zeros")

    def call(self, x):
        return ops.minimum(x, self.high)


class Wrapped(layers.Wrapper):
    """As the layers that `quantize_aware` wraps."""

    def call(self, x):
        return self.layer(x)


def dense(activation=None, units=4):
    return layers.Dense(units, activation)


def model_of(*steps, shape=(8, 8, 3), pooled=True):
    x = image = keras.Input(shape)
    if pooled:
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(x))
    for step in steps:
        x = step(x)
    return keras.Model(image, x)


def manual_softmax(x):
    powers = ops.exp(x - ops.max(x, axis=-1, keepdims=True))
    return powers / ops.sum(powers, axis=-1, keepdims=True)


def mean_of_two(x):
    return layers.Average()([dense("softmax")(x), dense("softmax")(x)])


def several(x):
    return layers.Concatenate()([dense("sigmoid", 1)(x) for _ in range(3)])


FLOATS = partial(layers.Activation, "linear", dtype="float32")  # as mixed precision ends
FORMS = {
    "softmax": {
        "activation": [dense("softmax")],
        "float32 after it": [dense("softmax"), FLOATS()],
        "Activation in float32": [dense(), layers.Activation("softmax", dtype="float32")],
        "Softmax": [dense(), layers.Softmax()],
        "operation": [dense(), ops.softmax],
        "passed on": [
            dense("softmax"),
            layers.Reshape((1, 4)),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Identity(),
        ],
        "Sequential": [keras.Sequential([dense(), layers.Activation("softmax")])],
        "Sequential after it": [dense("softmax"), keras.Sequential([layers.Dropout(0.1)])],
        "model in a model": [keras.Sequential([dense(), keras.Sequential([layers.Softmax()])])],
        "user's layer": [dense(), Softened()],
        "by hand": [dense(), manual_softmax],
        "function without a name": [layers.Dense(4, partial(keras.activations.softmax, axis=-1))],
        "layer as activation": [layers.Dense(4, layers.Softmax())],
        "ensemble": [mean_of_two],
        "sparsemax": [dense("sparsemax")],
        "quantized": [Wrapped(dense()), FakeQuantized(), Wrapped(layers.Activation("softmax")), FakeQuantized()],
    },
    "sigmoid": {
        "activation": [dense("sigmoid")],
        "one": [dense("sigmoid", 1)],
        "operation": [dense(), ops.sigmoid, FLOATS()],
        "by hand": [dense(), lambda x: 1 / (1 + ops.exp(-x))],
        "of several layers": [several],
        "hard": [dense("hard_sigmoid")],
        "user's layer": [SigmoidHead()],
        "quantized": [Wrapped(dense("sigmoid")), FakeQuantized()],
    },
    "logits": {
        "Dense": [dense()],
        "float32 after it": [dense(), FLOATS()],
        "scaled": [dense(), lambda x: x / 20],
        "log_softmax": [dense(), ops.log_softmax],
        "norm after a softmax": [dense("softmax"), layers.BatchNormalization()],
        "quantized": [Wrapped(dense()), FakeQuantized()],
    },
    None: {
        "tanh": [dense("tanh")],
        "relu": [dense("relu")],
        "percent": [dense("softmax"), lambda x: x * 100],
        "unit vector": [dense(), layers.UnitNormalization()],
    },
}


@pytest.mark.parametrize(("kind", "form"), [(kind, form) for kind, forms in FORMS.items() for form in forms])
def test_a_last_activation_is_found(kind, form):
    model = model_of(*FORMS[kind][form])
    if kind:
        assert score_kind(model) == kind
    else:
        with pytest.raises(ValueError, match="scores= .*--scores.*softmax, sigmoid .* or logits"):
            score_kind(model)
        assert score_kind(model, "sigmoid") == "sigmoid"


@pytest.mark.parametrize(("last", "kind"), [([], "logits"), ([layers.Softmax()], "softmax")])
def test_a_mean_of_many_small_numbers_is_still_a_logit(last, kind):
    head = [layers.Conv2D(3, 1), layers.GlobalAveragePooling2D(), *last]
    assert score_kind(model_of(*head, shape=(96, 96, 3), pooled=False)) == kind


def test_sequential_and_a_fixed_batch():
    head = [layers.Flatten(), dense(), layers.Reshape((4,)), layers.Softmax()]
    assert score_kind(keras.Sequential([keras.Input((4, 4, 3)), *head])) == "softmax"
    assert score_kind(keras.Sequential([keras.Input(batch_shape=(2, 4, 4, 3)), *head])) == "softmax"


def test_another_name_is_an_error():
    with pytest.raises(ValueError, match="scores must be one of softmax, sigmoid, logits. Received: scores='soft'"):
        score_kind(model_of(dense()), "soft")


def test_one_score_is_that_of_the_second_of_two_classes():
    logit = np.float32([[0.0], [2.0]])
    p = 1 / (1 + np.exp(-logit))
    two, kind = in_two(logit, "logits")
    np.testing.assert_allclose(keras.activations.softmax(ops.convert_to_tensor(two)), np.hstack([1 - p, p]), rtol=1e-6)
    assert kind == "logits"
    two, kind = in_two(p, "sigmoid")
    np.testing.assert_allclose(two, np.hstack([1 - p, p]), rtol=1e-6)
    assert kind == "softmax"


@pytest.mark.parametrize(("kind", "form"), [("softmax", "Sequential"), ("sigmoid", "hard"), ("logits", "Dense")])
def test_what_quantize_aware_gives_shows_it_too(kind, form):
    first = [layers.Rescaling(1 / 255), layers.Conv2D(6, 3), layers.GlobalAveragePooling2D()]
    quantized = quantize_aware(model_of(*first, *FORMS[kind][form], pooled=False))
    assert recognized_pixels(quantized) == BYTES
    assert score_kind(quantized) == kind
