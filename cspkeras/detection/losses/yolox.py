"""YOLOX's loss (arXiv 2107.08430): SimOTA, IoU for boxes, binary cross-entropy for objectness and classes."""

import keras
from keras import ops

from ..boxes import corners, decode_boxes, flatten_heads, from_corners
from ..overlaps import iou
from .base import DetectionLoss
from .simota import assign_by_cost
from .targets import objects, weighted


@keras.saving.register_keras_serializable("cspkeras")
class YoloXLoss(DetectionLoss):
    """Loss of an anchor-free detector's raw heads against padded boxes and labels.

    `simota.assign_by_cost` assigns the predictions to objects. The target score of an object's class is the IoU of the
    predicted box.

    Args:
        anchors: `Anchors.free` of the detector.
        classes: number of classes.
        box_weight, objectness_weight, class_weight: the parts' weights.
        use_l1: whether to add the raw boxes' L1 distance, as YOLOX does when it trains without mosaic.
    """

    def __init__(self, anchors, classes, box_weight=5.0, objectness_weight=1.0, class_weight=1.0, use_l1=False):
        self.anchors, self.classes, self.use_l1 = anchors, classes, use_l1
        self.box_weight, self.objectness_weight, self.class_weight = box_weight, objectness_weight, class_weight

    @staticmethod
    def suits(anchors):
        """Return whether a detector with these `Anchors` is anchor-free."""
        return anchors.coding == "free"

    def __call__(self, target, heads, sample_weight=None):
        """Return the loss, a scalar, as `YoloLoss` does."""
        grid = self.anchors.grid()
        raw_boxes, raw_scores = flatten_heads([ops.cast(head, "float32") for head in heads], self.anchors)
        decoded = decode_boxes(raw_boxes, grid)
        labels, truth, valid = objects(target, self.classes)
        index, positive, overlap = assign_by_cost(decoded, raw_scores, truth, ops.where(valid, labels, -1), grid)
        weight = ops.cast(positive, "float32")
        count = ops.maximum(ops.sum(weighted(weight, sample_weight)), 1.0)
        assigned = ops.take_along_axis(truth, index[..., None], axis=1)
        label = ops.take_along_axis(labels, index, axis=1)

        box_loss = (1 - ops.square(iou(corners(decoded), assigned))) * weight
        wanted = ops.one_hot(label, self.classes) * overlap[..., None]
        class_loss = ops.binary_crossentropy(wanted, raw_scores[..., 1:], from_logits=True) * weight[..., None]
        objectness_loss = ops.binary_crossentropy(weight, raw_scores[..., 0], from_logits=True)
        parts = [
            (self.box_weight, box_loss),
            (self.objectness_weight, objectness_loss),
            (self.class_weight, class_loss),
        ]
        if self.use_l1:
            distance = ops.abs(raw_boxes - _encode(from_corners(assigned), grid))
            parts.append((1.0, distance * weight[..., None]))
        return sum(factor * ops.sum(weighted(part, sample_weight)) for factor, part in parts) / count


def _encode(boxes, grid):
    """Return the raw x, y, w, h that decode to boxes (N, P, 4) cyxhw."""
    xy = (ops.flip(boxes[..., 0:2], -1) - grid.origins) / grid.cells
    wh = ops.log(ops.maximum(ops.flip(boxes[..., 2:4], -1), 0.0) / grid.sizes + 1e-8)
    return ops.concatenate([xy, wh], axis=-1)
