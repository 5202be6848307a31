"""What a model may be calibrated on."""

import itertools
import logging
import re

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.training.quantization.calibration import MOST, checked

RNG = np.random.default_rng(0)
IMAGES, VECTORS = RNG.random((4, 8, 8, 3)), RNG.random((4, 5))


def single(first=None):
    image = keras.Input((8, 8, 3))
    return keras.Model(image, layers.Conv2D(2, 1)(first(image) if first else image), name="single")


def double(taken=list):
    image, vector = keras.Input((8, 8, 3), name="image"), keras.Input((5,), name="vector")
    y = layers.Concatenate()([layers.Flatten()(image), vector])
    return keras.Model(
        {"image": image, "vector": vector} if taken is dict else taken([image, vector]), y, name="double"
    )


@pytest.mark.parametrize("taken", [list, tuple, dict])
@pytest.mark.parametrize("given", [list, tuple, dict])
def test_batches_of_several_inputs_come_as_the_model_takes_them(taken, given):
    model = double(taken)
    batch = dict(vector=VECTORS, image=IMAGES) if given is dict else given([IMAGES, VECTORS])
    (found,) = checked([batch], model)
    assert isinstance(found, taken)
    for x, expected in zip(keras.tree.flatten(found), (IMAGES, VECTORS), strict=True):
        np.testing.assert_array_equal(x, np.float32(expected))
    assert model(found).shape == (4, 8 * 8 * 3 + 5)


TWO = (
    r"calibration takes batches of 'image' \(N, 8, 8, 3\) and 'vector' \(N, 5\), as a list, a tuple or a dict by these"
)
WRONG = {
    "one array": (double, IMAGES, TWO + r" names. Received: one ndarray of \(4, 8, 8, 3\)"),
    "three": (double, [IMAGES] * 3, TWO + " names. Received: a list of 3"),
    "other names": (double, {"image": IMAGES, "x": VECTORS}, TWO + " names. Received: a dict of 'image', 'x'"),
    "a wrong shape": (double, [IMAGES, IMAGES], r"batches \(N, 5\) for 'vector'. Received: \(4, 8, 8, 3\)"),
    "another number": (double, [IMAGES, VECTORS[:3]], TWO + " names, of equal N. Received: N of 3, 4"),
    "labels too": (single, (IMAGES, VECTORS), r"\(N, 8, 8, 3\), the images alone. Received: a tuple of 2"),
    "no numbers": (single, np.array(["a"]), r"batches \(N, 8, 8, 3\) of numbers. Received: a ndarray"),
    "a NaN": (single, IMAGES * np.nan, "of finite numbers"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_batches(wrong):
    model, batch, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        list(checked([batch], model()))


@pytest.mark.parametrize(
    ("batches", "taken", "told"),
    [
        (itertools.repeat(IMAGES), MOST // 4, True),
        ((IMAGES for _ in range(3)), 3, False),
        ((IMAGES for _ in range(MOST // 4)), MOST // 4, False),
        ([IMAGES] * (MOST // 4 + 2), MOST // 4 + 2, False),
    ],
)
def test_what_never_ends_is_cut_and_told(batches, taken, told, caplog):
    assert len(list(checked(batches, single()))) == taken
    assert (f"took {taken} batches, {4 * taken} inputs" in caplog.text) == told


@pytest.mark.parametrize(
    ("first", "factor", "told"),
    [
        (layers.Rescaling(1 / 255), 1, "single takes pixels in 0..255, .* calibrated on 0.00"),
        (layers.Rescaling(1 / 255), 255, None),
        (layers.Rescaling(2.0, -1.0), 255, "single takes pixels in 0..1, "),
        (layers.Rescaling(2.0, -1.0), 1, None),
        (None, 255, None),
        (None, 0, "single is calibrated on inputs that are 0 everywhere, .* give real images"),
    ],
)
def test_a_range_that_contradicts_is_told_once(first, factor, told, caplog):
    caplog.set_level(logging.WARNING)
    model = single(first)
    for _ in range(2):
        list(checked([IMAGES * factor], model))
    assert len(caplog.messages) == bool(told)
    if told:
        assert re.match(told, caplog.messages[0])
