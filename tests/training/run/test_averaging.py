"""The moving average of weights."""

import keras
import numpy as np
import pytest

from cspkeras.training.run.averaging import UPDATE_EVERY, Averaging


def tiny():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    )


def set_all(model, value):
    for weight in model.weights:
        weight.assign(np.full(weight.shape, value))


def test_the_average_of_an_average():
    model, expected = tiny(), 1.0
    set_all(model, 1.0)
    averaging = Averaging(model, 0.9)
    for step in range(1, 101):
        set_all(model, float(step))
        averaging.update_if_due(step)
        if step % UPDATE_EVERY == 0:
            keep = min(0.9, (1 + step) / (10 + step)) ** UPDATE_EVERY
            expected = expected * keep + step * (1 - keep)
    for value in averaging.values:
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    set_all(model, 0.0)
    averaging.update(103)  # at the end of an epoch, whenever that is
    np.testing.assert_allclose(averaging.values[0], expected * 0.9**3, rtol=1e-5)


def test_the_average_takes_the_weights_place_for_a_while():
    model = tiny()
    averaging = Averaging(model, 0.9)
    trained = [np.array(weight) + 1 for weight in model.weights]
    model.set_weights(trained)
    with pytest.raises(RuntimeError), averaging.in_place():
        for weight, value in zip(model.weights, averaging.values, strict=True):
            np.testing.assert_array_equal(weight, value)
        raise RuntimeError("what comes back comes back after an error, too")
    for weight, value in zip(model.weights, trained, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_what_is_neither_trained_nor_a_statistic_is_not_averaged():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Normalization(axis=-1)])
    averaging = Averaging(model, 0.9)
    set_all(model, 7)
    averaging.update(100)
    for weight, value in zip(model.weights, averaging.values, strict=True):
        assert np.all(value == 7) == (not weight.trainable)
