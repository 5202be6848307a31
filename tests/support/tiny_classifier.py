"""A classifier small enough to train in a test, and images whose colour is their class."""

import keras
import numpy as np
from small_data import COLORS

from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit

PALETTE = list(COLORS.values())
PLAIN = dict(epochs=3, batch_size=4, learning_rate=0.05, warmup_epochs=0, weight_decay=0, clip_norm=0)


def tiny(activation="softmax", classes=3):
    """A convolution, a norm and a dense layer on images of 8x8."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="stage1_bn")(keras.layers.Conv2D(8, 3, name="stage1_conv")(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(classes, activation, dtype="float32")(x), name="tiny")


def colours(count, names=tuple(COLORS)):
    """Images whose colour is their class."""
    rng = np.random.default_rng(0)
    examples = [
        LabelledImage(np.clip(rng.normal(PALETTE[i % 3], 20, (8, 8, 3)), 0, 255).astype("uint8"), i % 3)
        for i in range(count)
    ]
    return ClassificationData(examples, names)


TRAIN, VAL = colours(24), colours(9)


def fit_tiny(folder, model=None, **options):
    """The model, `tiny` where none is given, and the rows of its run in a folder, by `PLAIN` with options."""
    model = model or tiny()
    return model, fit(model, TRAIN, VAL, folder, Recipe(**PLAIN | options), report=lambda line: None)
