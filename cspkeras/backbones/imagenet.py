"""ImageNet's inputs and classes, as the backbones take and give them."""

import keras
import numpy as np

from .timm_layout import LAYOUTS

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of RGB in 0..1


def preprocess_input(x, layout="darknet"):
    """Pixels as the backbones take them: RGB 0..255 to floats in 0..1.

    Args:
        x: array or tensor of any shape, uint8 or float, channels last.
        layout: "timm" for a network in that layout: normalized by ImageNet's mean and deviation as well.

    Raises:
        ValueError: for another layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}. Received: layout={layout!r}")
    if keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor):
        x = keras.ops.cast(x, keras.config.floatx()) / 255
    else:
        x = np.asarray(x, keras.config.floatx()) / 255
    mean, deviation = np.array(IMAGENET, keras.config.floatx())
    return (x - mean) / deviation if layout == "timm" else x


def decode_predictions(predictions, top=5, wordnet_ids=None):
    """The likeliest ImageNet classes.

    Args:
        predictions: probabilities (N, 1000).
        top: how many classes to give.
        wordnet_ids: the 1000 classes' ids in the order of `predictions`, for a model whose order is not the sorted one
            that Keras and timm have. Darknet's published weights have that of the first 1000 lines of its
            data/imagenet.labels.list.

    Returns:
        For each image a list of (WordNet id, name, probability), the likeliest first.
    """
    if wordnet_ids is not None:
        predictions = np.asarray(predictions)[:, np.argsort(wordnet_ids)]
    return keras.applications.imagenet_utils.decode_predictions(np.asarray(predictions), top)
