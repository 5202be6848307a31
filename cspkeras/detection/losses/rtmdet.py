"""RTMDet's loss (arXiv 2212.07784): soft labels assign, quality focal loss for classes, GIoU for boxes."""

import keras
from keras import ops

from ..boxes import corners, decode_boxes, flatten_heads
from ..overlaps import giou
from .base import DetectionLoss
from .focal import cross_entropy
from .soft_labels import assign_by_soft_label
from .targets import checked_class_weights, objects, weighted


@keras.saving.register_keras_serializable("cspkeras")
class RTMDetLoss(DetectionLoss):
    """Loss of the raw heads of a detector that predicts distances against padded boxes and labels.

    `soft_labels.assign_by_soft_label` assigns the predictions to objects. The target score of an object's class is the
    IoU of the predicted box, and the same IoU weighs that box's loss. There is no objectness.

    Args:
        anchors: `Anchors.distances` of the detector.
        classes: number of classes.
        box_weight, class_weight: the parts' weights.
        beta: exponent of the quality focal loss, which discounts scores that are nearly right.
        class_weights: as `YoloLoss` has them: factors of the losses of the predictions assigned to a class's objects.

    Raises:
        ValueError: for an option outside its range.

    Example:
        >>> import numpy as np
        >>> from cspkeras.detection.anchors import Anchors
        >>> from cspkeras.detection.losses import RTMDetLoss
        >>> loss = RTMDetLoss(Anchors.distances((64, 64)), classes=2)
        >>> heads = [np.zeros((1, side, side, 4 + 2), "float32") for side in (8, 4, 2)]
        >>> target = {"boxes": np.float32([[[0.1, 0.1, 0.6, 0.6]]]), "labels": np.array([[1]])}
        >>> classes, boxes = loss.by_level(target, heads)
        >>> len(classes), len(boxes), bool(abs(sum(classes) + sum(boxes) - loss(target, heads)) < 1e-4)
        (3, 3, True)
    """

    def __init__(self, anchors, classes, box_weight=2.0, class_weight=1.0, *, beta=2.0, class_weights=None):
        if not beta >= 0:
            raise ValueError(f"beta must be 0 or more. Received: beta={beta}")
        self.anchors, self.classes = anchors, classes
        self.box_weight, self.class_weight, self.beta = box_weight, class_weight, beta
        self.class_weights = checked_class_weights(class_weights, classes)

    @staticmethod
    def suits(anchors):
        """Return whether a detector with these `Anchors` predicts distances."""
        return anchors.coding in ("distances", "log_distances")

    def __call__(self, target, heads, sample_weight=None):
        """Return the loss, a scalar, as `YoloLoss` does, but divided by the sum of the assigned overlaps."""
        return sum(ops.sum(part) for part in self.by_level(target, heads, sample_weight))

    def by_level(self, target, heads, sample_weight=None):
        """Return the loss of classes and that of boxes, each (levels,), finest first; their sum is the loss."""
        grid = self.anchors.grid()
        raw_boxes, scores = flatten_heads([ops.cast(head, "float32") for head in heads], self.anchors)
        boxes = decode_boxes(raw_boxes, grid)
        labels, truth, valid = objects(target, self.classes)
        index, positive, quality = assign_by_soft_label(boxes, scores, truth, ops.where(valid, labels, -1), grid)
        total = ops.maximum(ops.sum(weighted(quality, sample_weight)), 1.0)
        assigned = ops.take_along_axis(truth, index[..., None], axis=1)
        label = ops.take_along_axis(labels, index, axis=1)
        weight = ops.where(positive, ops.take(self.class_weights, label), 1.0)

        wanted = ops.one_hot(label, self.classes) * quality[..., None]
        class_loss = ops.sum(cross_entropy(wanted, scores, self.beta), axis=-1) * weight
        box_loss = (1 - giou(corners(boxes), assigned)) * quality * weight
        parts = (self.class_weight, class_loss), (self.box_weight, box_loss)
        return [self._by_level(weighted(part, sample_weight)) * factor / total for factor, part in parts]

    def _by_level(self, values):
        """Return the sums (levels,) of values (N, P)."""
        levels = ops.split(values, self.anchors.offsets()[1:].tolist(), axis=1)
        return ops.stack([ops.sum(level) for level in levels])
