"""The peak of activation memory, against counts by hand."""

import keras
import pytest
from keras import layers

from cspkeras.analysis import peak_memory

SIZE = 8 * 8  # positions of every feature map here


def branching():
    """An image of 1 channel, a wide branch of 8 channels, a narrow one of 2, and their concatenation of 10."""
    image = layers.Input((8, 8, 1), name="image")
    wide = layers.BatchNormalization(name="norm")(layers.Conv2D(8, 1, name="wide")(image))
    narrow = layers.Conv2D(2, 1, name="narrow")(image)
    x = layers.Concatenate(name="concat")([wide, narrow])
    return keras.Model(image, layers.Conv2D(3, 1, name="last")(x))


def test_the_peak_is_counted_by_hand():
    peak = peak_memory(branching())
    assert (peak.elements, peak.layer) == (SIZE * (8 + 2 + 10), "concat")


def test_the_order_decides():
    image = layers.Input((8, 8, 1), name="image")
    wides = [layers.Conv2D(16, 1, name=f"wide{i}")(image) for i in (1, 2)]
    narrow = [layers.Conv2D(1, 1, name=f"narrow{i}")(x) for i, x in enumerate(wides, 1)]
    model = keras.Model(image, layers.Add(name="add")(narrow))
    by_name = {operation.name: operation for operation in model.operations}
    breadth = "image", "wide1", "wide2", "narrow1", "narrow2", "add"
    depth = "image", "wide1", "narrow1", "wide2", "narrow2", "add"
    assert peak_memory(model, [by_name[name] for name in breadth]).elements == SIZE * (16 + 16 + 1)
    assert peak_memory(model, [by_name[name] for name in depth]).elements == SIZE * (1 + 16 + 1)
    with pytest.raises(ValueError, match="order has narrow1 before wide1, which it reads"):
        peak_memory(model, [by_name[name] for name in ("image", "narrow1", "wide1", "wide2", "narrow2", "add")])
    with pytest.raises(ValueError, match="order must hold each of the 6 operations"):
        peak_memory(model, [by_name["image"]])


def test_what_is_read_again_is_not_overwritten():
    image = layers.Input((8, 8, 4))
    x = layers.Conv2D(4, 1)(image)
    alone = keras.Model(image, layers.ReLU()(x))
    shared = keras.Model(image, layers.Add()([layers.ReLU()(x), x]))
    assert peak_memory(alone).elements == SIZE * (4 + 4)  # the convolution's input and output
    assert peak_memory(shared).elements == SIZE * (4 + 4 + 4)  # the addition's


def test_a_layer_that_is_called_twice_holds_both_maps():
    image, double = layers.Input((8, 8, 4)), layers.Conv2D(4, 1)
    model = keras.Model(image, layers.Concatenate()([double(image), double(double(image))]))
    assert peak_memory(model).elements == SIZE * (4 + 4 + 8)
    order = [model.layers[0], double, double, double, model.layers[-1]]
    assert peak_memory(model, order).elements == SIZE * (4 + 4 + 8)
