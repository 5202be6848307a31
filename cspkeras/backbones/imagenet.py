"""ImageNet: prepare images for the backbones, and name the classes that they predict."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from .timm_layout import LAYOUTS

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of RGB in 0..1


def preprocess_input(x: ArrayLike | keras.KerasTensor, layout: str = "darknet") -> Any:
    """Scale pixels as the backbones take them: RGB from 0..255 to floats in 0..1.

    Args:
        x: array or tensor of any shape, uint8 or float, channels last.
        layout: "timm" for a network in that layout: pixels are normalized by ImageNet's mean and deviation as well.

    Returns:
        An array for an array, a tensor for a tensor, of the same shape.

    Raises:
        ValueError: for another layout.

    Example:
        >>> import cspkeras
        >>> cspkeras.preprocess_input([0, 51, 255]).tolist()
        [0.0, 0.20000000298023224, 1.0]
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}. Received: layout={layout!r}")
    if keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor):
        x = keras.ops.cast(x, keras.config.floatx()) / 255
    else:
        x = np.asarray(x, keras.config.floatx()) / 255
    mean, deviation = np.array(IMAGENET, keras.config.floatx())
    return (x - mean) / deviation if layout == "timm" else x


def decode_predictions(
    predictions: ArrayLike, top: int = 5, wordnet_ids: Sequence[str] | None = None
) -> list[list[tuple[str, str, float]]]:
    """Name the likeliest ImageNet classes.

    Args:
        predictions: probabilities (N, 1000).
        top: how many classes to return.
        wordnet_ids: the WordNet ids of the 1000 classes in the order of `predictions`, unless they are sorted as in
            Keras and timm. Darknet's published weights have the order of the first 1000 lines of its
            data/imagenet.labels.list.

    Returns:
        For each image a list of (WordNet id, name, probability), the likeliest first.

    Raises:
        ValueError: for predictions of another shape.

    Example:
        >>> import cspkeras
        >>> cspkeras.decode_predictions(model.predict(images), top=1)  # doctest: +SKIP
        [[('n02123045', 'tabby', 0.93)]]
    """
    if wordnet_ids is not None:
        predictions = np.asarray(predictions)[:, np.argsort(wordnet_ids)]
    return keras.applications.imagenet_utils.decode_predictions(np.asarray(predictions), top)
