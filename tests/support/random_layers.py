"""All of Keras' layers that change images in training and pass them otherwise, found in `keras.layers`."""

import inspect

import keras
import numpy as np
from keras import layers

IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 12, 12, 3)).astype("float32")
OWN = {"RandomPosterization": (4,), "SpatialDropout3D": (0.5,), "RandomCrop": IMAGES.shape[1:3]}
MODULES = "image_preprocessing", "regularization"
NO_MODEL = "Equalization", "MaxNumBoundingBoxes"  # they give the tensor that they take: Keras calls that a cycle
SHAPES = {"SpatialDropout1D": (-1, 3), "SpatialDropout3D": (1, 12, 12, 3)}  # of what takes no image


def made(name):
    """A new layer; what must be given is a half."""
    cls = getattr(layers, name)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return cls(*OWN.get(name, [0.5] * len(needed)))


def by_maps(name, layer):
    """A function of an image that calls a layer of that name, on maps of another shape where it takes such."""
    if name not in SHAPES:
        return layer
    return lambda x: layers.Reshape(IMAGES.shape[1:])(layer(layers.Reshape(SHAPES[name])(x)))


def _passes(name):
    """Whether a layer of Keras' passes images outside of training, and is one of those that change them in it."""
    cls = getattr(layers, name)
    if not isinstance(cls, type) or cls.__module__.split(".")[-2] not in MODULES or name in NO_MODEL:
        return False
    try:
        layer = made(name)
        image = keras.ops.convert_to_tensor(np.reshape(IMAGES, (len(IMAGES), *SHAPES.get(name, IMAGES.shape[1:]))))
        y = layer(image, training=False)
    except (TypeError, ValueError):  # it wants other numbers, as CenterCrop does: it is none of them
        return False
    return y.shape == image.shape and bool(np.all(y == image))


RANDOM = [name for name in dir(layers) if _passes(name)]


def in_a_row(x):
    """Call one of each."""
    for name in RANDOM:
        x = by_maps(name, made(name))(x)
    return x
