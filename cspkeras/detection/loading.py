"""Load weights into a detector: Keras' files, and Darknet's .weights of the published network."""

import warnings
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from keras import layers

from ..backbones.loading import check_weights, is_darknet, is_keras, load_keras_file, weighted_layers
from ..backbones.pyramid import darknet_order
from ..graph import operation_of
from ..weights.darknet.file import WeightedLayer, count_floats, load_weights_file
from .heads import RawHead


@dataclass(frozen=True)
class WeightedHead(WeightedLayer):
    """A head: one convolution in the file, two in the detector, of the boxes (`convolution`) and of the scores."""

    scores: layers.Conv2D | None = None  # the built Conv2D of the scores
    anchors: int = 0  # number of anchors per cell
    classes: int = 0  # number of classes in the file. If the detector has another, its floats are read and dropped

    @property
    def kernel_shape(self):
        return self.anchors * (5 + self.classes), *super().kernel_shape[1:]

    @property
    def floats_per_class(self):
        """Number of floats that each class adds to the file."""
        return self.size // (5 + self.classes)

    def assign(self, kernel, bias, *_):
        if self.scores.filters != self.anchors * (1 + self.classes):
            return
        parts = [x.reshape(self.anchors, 5 + self.classes, *x.shape[1:]) for x in (kernel, bias)]
        for convolution, channels in ((self.convolution, np.s_[:, :4]), (self.scores, np.s_[:, 4:])):
            values = [part[channels].reshape(-1, *part.shape[2:]) for part in parts]
            WeightedLayer(self.index, self.place, convolution).assign(*values, None, None, None)


def load_weights(detector, weights, *, skip_mismatch=False):
    """Load weights into a detector: a Keras file of the same network, or a Darknet .weights file of the published one.

    A file called `NAME.conv.K` holds the first layers alone. Only whole Keras files fit other heads than YOLO's. With
    `skip_mismatch` the file may have another number of classes; the heads stay as they are then. A ValueError names
    where a file doesn't fit.
    """
    check_weights(weights, is_darknet(weights) or is_keras(weights))
    if is_darknet(weights):
        _load_darknet(detector, weights, skip_mismatch)
    elif skip_mismatch:
        _load_fitting(detector, weights)
    else:
        load_keras_file(weights, detector)


def _load_darknet(detector, path, skip_mismatch):
    weighted, floats = _weighted(detector, path), count_floats(path)
    if not str(path).endswith(".weights"):
        ends = accumulate(layer.size for layer in weighted)
        load_weights_file(path, [layer for layer, end in zip(weighted, ends, strict=True) if end <= floats])
        return
    own = len(detector.class_names)
    per_class = sum(layer.floats_per_class for layer in weighted if isinstance(layer, WeightedHead))
    more = (floats - sum(layer.size for layer in weighted)) / per_class
    if more and more.is_integer() and own + more > 0:
        found = own + int(more)
        if not skip_mismatch:
            raise ValueError(
                f"{path}: holds the heads of {found} classes. Expected: {detector.name}'s {own}, or "
                "skip_mismatch=True, which leaves the heads as they are"
            )
        weighted = [replace(layer, classes=found) if isinstance(layer, WeightedHead) else layer for layer in weighted]
    load_weights_file(path, weighted)


def _weighted(detector, path):
    """Return the detector's `WeightedLayer`s in its cfg's order, each head as one; `path` is for the error."""
    heads, scores = {}, set()
    for layer in detector.layers:
        if isinstance(layer, RawHead):
            boxes, its_scores = map(operation_of, layer.input)
            if not (isinstance(its_scores, layers.Conv2D) and detector.anchors.objectness):
                raise ValueError(
                    f"{path}: a Darknet file holds heads of one convolution per level. Received: {detector.name} with "
                    "other heads"
                )
            heads[boxes] = layer.anchors, its_scores
            scores.add(its_scores)
    weighted = []
    for layer in weighted_layers(detector, darknet_order(detector, detector.backbone)):
        if layer.convolution in heads:
            anchors, its_scores = heads[layer.convolution]
            place = f"{detector.name}'s head {layer.convolution.name.removesuffix('_boxes')!r}"
            layer = WeightedHead(layer.index, place, layer.convolution, None, False, its_scores, anchors)
            layer = replace(layer, classes=len(detector.class_names))
        if layer.convolution not in scores:
            weighted.append(layer)
    return weighted


def _load_fitting(detector, path):
    """Load a Keras file; all but the heads must fit."""
    inner = [layer for layer in _weighted(detector, path) if not isinstance(layer, WeightedHead)]
    before = [layer.convolution.get_weights()[0] for layer in inner]
    # Keras skips what does not fit and only warns, at length. A kernel that was loaded differs from its random start.
    with warnings.catch_warnings(action="ignore"):
        load_keras_file(path, detector, skip_mismatch=True)
    for layer, kernel in zip(inner, before, strict=True):
        if np.array_equal(layer.convolution.get_weights()[0], kernel):
            raise ValueError(f"{path}: holds no weights that fit {layer.place}")
