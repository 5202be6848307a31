"""Slices and shortcuts, against plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cspkeras.layers import ChannelSlice, Shortcut

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (3, 6), (2, 3), (0, 6)])
def test_a_slice_of_the_channels(start, stop):
    x = RNG.normal(size=(2, 3, 5, 6)).astype("float32")
    layer = ChannelSlice(start, stop)
    np.testing.assert_array_equal(layer(x), x[..., start:stop])
    assert layer.compute_output_shape((None, None, 5, 6)) == (None, None, 5, stop - start)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 3), (4, 2), (0, 7)])
def test_channels_that_are_not_there_are_an_error(start, stop):
    with pytest.raises(ValueError, match=rf"channels {start} to {stop} .* Received: input_shape=\(None, 4, 4, 6\)"):
        ChannelSlice(start, stop)(layers.Input((4, 4, 6)))


@pytest.mark.parametrize(
    ("shape", "other", "strides"),
    [
        ((4, 6, 5), (4, 6, 5), 1),
        ((4, 6, 5), (4, 6, 2), 1),
        ((4, 6, 2), (4, 6, 5), 1),
        ((4, 6, 5), (8, 12, 5), 2),
        ((4, 6, 5), (8, 12, 3), 2),
        ((3, 2, 4), (5, 4, 6), 2),
        ((2, 3, 4), (8, 12, 4), 4),
    ],
)
def test_shortcuts_add_the_first_channels_of_every_nth_pixel(shape, other, strides):
    x, y = (RNG.normal(size=(2, *dimensions)).astype("float32") for dimensions in (shape, other))
    expected, common = x.copy(), min(shape[2], other[2])
    for row in range(shape[0]):
        for column in range(shape[1]):
            expected[:, row, column, :common] += y[:, row * strides, column * strides, :common]
    layer = Shortcut(strides)
    np.testing.assert_array_equal(layer([x, y]), expected)
    assert layer.compute_output_shape([(None, *shape), (None, *other)]) == (None, *shape)
    flexible = [layers.Input((None, None, dimensions[2])) for dimensions in (shape, other)]
    np.testing.assert_array_equal(keras.Model(flexible, layer(flexible))([x, y]), expected)


def test_both_load_in_safe_mode_and_stay_four_dimensional(tmp_path):
    image = layers.Input((8, 8, 4))
    x = ChannelSlice(1, 3, name="slice")(layers.AveragePooling2D(2)(image))
    model = keras.Model(image, Shortcut(2, name="shortcut")([x, image]))
    model.save(tmp_path / "routes.keras")
    loaded = keras.saving.load_model(tmp_path / "routes.keras", safe_mode=True)
    x = RNG.normal(size=(1, 8, 8, 4)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert (loaded.get_layer("slice").stop, loaded.get_layer("shortcut").strides) == (3, 2)
    graph = tf.function(model).get_concrete_function(tf.TensorSpec((1, 8, 8, 4))).graph
    assert max(len(tensor.shape) for operation in graph.get_operations() for tensor in operation.outputs) == 4
