"""ImageNet: prepare images for the backbones, and name the classes that they predict."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from ..backbones import timm_layout
from ..backbones.assembly import Preparation
from ..registry import network

NORMALIZED = "timm", "torch"  # the layouts whose weights take images normalized by ImageNet's mean and deviation
LAYOUTS = "darknet", *NORMALIZED


def preparation_of(name: str | None, layout: str | None = None) -> Preparation | None:
    """Return how images are prepared for a network's published weights.

    Args:
        name: one of `list_models()` or `list_detectors()`, or None.
        layout: the network's, "darknet", "timm" or "torch"; None: the one that it has, "darknet" if it has two.

    Returns:
        The `Preparation`; None for RGB in 0..1.

    Raises:
        ValueError: for another layout, an unknown name and a network that has no layout "darknet".

    Example:
        >>> from cspkeras.classification.imagenet import preparation_of
        >>> preparation_of("CS3DarknetFocusS").mean
        (0.5, 0.5, 0.5)
    """
    if layout not in (None, *LAYOUTS):
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}. Received: layout={layout!r}")
    spec = network(name).spec if name else None
    if layout in NORMALIZED:
        spec = timm_layout.VARIANTS.get(name or "", spec)
        return spec and spec.preparation or Preparation()
    if layout and hasattr(spec, "timm"):
        raise ValueError(f"layout must be 'timm' or None for {name}. Received: layout={layout!r}")
    return spec and spec.preparation


def preprocess_input(x: ArrayLike | keras.KerasTensor, layout: str | None = None, name: str | None = None) -> Any:
    """Scale pixels as the backbones take them: RGB from 0..255 to floats in 0..1, or as the weights need them.

    Args:
        x: array or tensor of any shape, uint8 or float, channels last.
        layout: "timm" or "torch" for a network in that layout: pixels are normalized by ImageNet's mean and deviation
            as well. None: the layout of the network by that name, or "darknet".
        name: of the network, such as "CS3DarknetFocusS", whose weights may need another mean and deviation.

    Returns:
        An array for an array, a tensor for a tensor, of the same shape.

    Raises:
        ValueError: for another layout or an unknown name.

    Example:
        >>> import cspkeras
        >>> cspkeras.preprocess_input([0, 51, 255]).tolist()
        [0.0, 0.20000000298023224, 1.0]
        >>> cspkeras.preprocess_input([0, 255, 255], name="CS3DarknetFocusS").tolist()
        [-1.0, 1.0, 1.0]
    """
    preparation = preparation_of(name, layout)
    if keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor):
        x = keras.ops.cast(x, keras.config.floatx()) / 255
    else:
        x = np.asarray(x, keras.config.floatx()) / 255
    if preparation is None:
        return x
    mean, deviation = np.array([preparation.mean, preparation.deviation], keras.config.floatx())
    return (x - mean) / deviation


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
