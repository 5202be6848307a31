"""The YOLO loss: an overlap or squared errors for boxes, binary cross-entropy for objectness and classes."""

import functools

import keras
from keras import ops

from ..boxes import corners, decode_boxes, flatten_heads, from_corners
from ..overlaps import ciou, diou, giou, iou
from .assignment import assign
from .base import DetectionLoss
from .focal import cross_entropy
from .object_blocks import any_object, rows_of
from .targets import checked_class_weights, objects, weighted

OVERLAPS = {"ciou": ciou, "diou": diou, "giou": giou, "iou": iou}
BOX_LOSSES = (*OVERLAPS, "mse")
FOCAL_PARTS = ("objectness", "classes")


@keras.saving.register_keras_serializable("cspkeras")
class YoloLoss(DetectionLoss):
    """Loss of a detector's raw heads against padded boxes and labels.

    `assignment.assign` assigns objects to anchors. The objectness of an unassigned prediction that overlaps an object
    by more than `ignore_threshold` does not count (Darknet's ignore_thresh).

    Args:
        anchors: `Anchors`.
        classes: number of classes.
        iou_threshold: see `assignment.assign`; 0.213 in yolov4.cfg, 0.2 in scaled YOLOv4's cfgs.
        ignore_threshold: IoU in 0..1.
        box_weight, objectness_weight, class_weight: the parts' weights.
        box: "ciou", "diou", "giou" or "iou", each as 1 - the overlap; or "mse", Darknet's first: the squared error of
            logistic x, y and of raw w, h against the values that decode to the object (x, y clipped to 0..1 where
            scale_xy reaches farther; of the coding "scaled" w, h are logistic and clipped, too, since no box has four
            times its anchor's sides), times 2 - w * h of the object in parts of the input, w * h at most 1. The CSPNet
            paper's base detectors were trained with MSE; its CSPResNeXt50 PANet-SPP at 512 has 38.0 AP with MSE, 39.4
            with GIoU, 39.1 with DIoU, 39.6 with CIoU.
        focal_gamma: exponent of the focal loss (arXiv 1708.02002), which discounts confident and right predictions; 2
            there, 0 for no discount.
        focal_alpha: focal loss: weight of targets of 1, with 1 - alpha for targets of 0; 0.25 there, None weighs both
            by 1.
        focal_parts: the cross-entropies that the focal loss replaces: "objectness", "classes" or both.
        label_smoothing: eps in 0..1, YOLOv4's label_smooth_eps: the targets of classes are eps / 2 and 1 - eps / 2.
        class_weights: one weight per class, or None for 1 each: factors of the objects' box and class losses, for rare
            and frequent classes. Their mean over the objects should be 1; objectness has no class.

    Raises:
        ValueError: for an option outside its range.
    """

    def __init__(
        self,
        anchors,
        classes,
        iou_threshold=0.3,
        ignore_threshold=0.7,
        box_weight=2.0,
        objectness_weight=1.0,
        class_weight=1.0,
        *,
        box="ciou",
        focal_gamma=0.0,
        focal_alpha=None,
        focal_parts=FOCAL_PARTS,
        label_smoothing=0.0,
        class_weights=None,
    ):
        focal_parts = (focal_parts,) if isinstance(focal_parts, str) else tuple(focal_parts)
        if box not in BOX_LOSSES:
            raise ValueError(f"box must be one of {', '.join(BOX_LOSSES)}. Received: box={box!r}")
        if not set(focal_parts) <= set(FOCAL_PARTS):
            raise ValueError(f"focal_parts must be of {', '.join(FOCAL_PARTS)}. Received: focal_parts={focal_parts}")
        if not focal_gamma >= 0:
            raise ValueError(f"focal_gamma must be 0 or more. Received: focal_gamma={focal_gamma}")
        for name, value in (("focal_alpha", focal_alpha), ("label_smoothing", label_smoothing)):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must be in 0..1. Received: {name}={value}")
        class_weights = checked_class_weights(class_weights, classes)
        self.anchors, self.classes = anchors, classes
        self.iou_threshold, self.ignore_threshold = iou_threshold, ignore_threshold
        self.box_weight, self.objectness_weight, self.class_weight = box_weight, objectness_weight, class_weight
        self.box, self.label_smoothing, self.class_weights = box, label_smoothing, class_weights
        self.focal_gamma, self.focal_alpha, self.focal_parts = focal_gamma, focal_alpha, focal_parts
        focal = dict(gamma=focal_gamma, alpha=focal_alpha)
        self._focal = {part: focal if part in focal_parts else {} for part in FOCAL_PARTS}

    @staticmethod
    def suits(anchors):
        """Return whether a detector with these `Anchors` has anchor boxes."""
        return anchors.coding in ("yolo", "scaled")

    def __call__(self, target, heads, sample_weight=None):
        """Return the loss, a scalar: its parts summed over the batch, divided by the number of assigned predictions.

        An image's `sample_weight` (N,) is a factor of its parts and of its number: of weight 2 it counts as two equal
        images, of weight 0 as none.
        """
        heads = [ops.cast(head, "float32") for head in heads]
        raw_boxes, raw_scores = flatten_heads(heads, self.anchors)
        labels, truth, valid = objects(target, self.classes)
        index, positive = assign(from_corners(truth), valid, self.anchors, self.iou_threshold)
        assigned = ops.cast(positive, "float32")
        count = ops.maximum(ops.sum(weighted(assigned, sample_weight)), 1.0)
        weight = assigned * ops.take(self.class_weights, labels)[..., None]

        decoded = corners(decode_boxes(raw_boxes, self.anchors.grid()))
        if self.box == "mse":
            box_loss = self._squared_error(_take(raw_boxes, index), index, truth)
        else:
            box_loss = 1 - OVERLAPS[self.box](_take(decoded, index), truth[:, :, None])

        objectness = raw_scores[..., 0]
        is_object = ops.minimum(_sum_at(index, assigned, objectness), 1.0)
        counted = ops.maximum(is_object, 1 - _covered(decoded, truth, valid, self.ignore_threshold))
        objectness_loss = cross_entropy(is_object, objectness, **self._focal["objectness"])

        parts = (
            (self.box_weight, box_loss * weight),
            (self.objectness_weight, objectness_loss * counted),
            (self.class_weight, self._class_loss(raw_scores[..., 1:], index, labels, weight)),
        )
        return sum(factor * ops.sum(weighted(part, sample_weight)) for factor, part in parts) / count

    def _class_loss(self, scores, index, labels, weight):
        """Return the loss of classes of all predictions (N, P)."""
        # As if all classes were wrong, and what the right one changes: that of all classes of each object and anchor
        # would take C times the memory.
        right, wrong = 1 - self.label_smoothing / 2, self.label_smoothing / 2
        entropy = functools.partial(cross_entropy, **self._focal["classes"])
        score = _take_class(scores, index, labels)
        change = (entropy(right, score) - entropy(wrong, score)) * weight
        return ops.sum(entropy(wrong, scores), axis=-1) * _sum_at(index, weight, scores) + _sum_at(
            index, change, scores
        )

    def _squared_error(self, raw, index, truth):
        """Return Darknet's box loss of raw predictions (N, M, A, 4) at `index` (N, M, A): (N, M, A)."""
        grid = self.anchors.grid()
        origins, cells, sizes, scales = (
            ops.take(x, index, axis=0) for x in (grid.origins, grid.cells, grid.sizes, grid.scales)
        )
        xy = (truth[..., :2] + truth[..., 2:]) / 2
        wh = truth[..., 2:] - truth[..., :2]
        wanted_xy = ops.clip(((xy[:, :, None] - origins) / cells + (scales - 1) / 2) / scales, 0.0, 1.0)
        if self.anchors.coding == "scaled":
            found_wh, wanted_wh = ops.sigmoid(raw[..., 2:]), ops.clip(ops.sqrt(wh[:, :, None] / sizes) / 2, 0.0, 1.0)
        else:
            found_wh, wanted_wh = raw[..., 2:], ops.log(wh[:, :, None] / sizes)
        error = ops.square(ops.sigmoid(raw[..., :2]) - wanted_xy) + ops.square(found_wh - wanted_wh)
        return ops.sum(error, axis=-1) * (2 - ops.minimum(ops.prod(wh, axis=-1), 1.0))[:, :, None]


def _places(index, predictions):
    """Return the places (N, M, A) in (N * P,) of predictions at index (N, M, A) of their image."""
    n, p = ops.shape(predictions)[:2]
    return index + p * ops.arange(n, dtype="int32")[:, None, None]


def _take(predictions, index):
    """Return predictions (N, P, K) at index (N, M, A): (N, M, A, K)."""
    return ops.take(rows_of(predictions), _places(index, predictions), axis=0)


def _take_class(scores, index, labels):
    """Return the scores (N, P, C) of labels (N, M) at index (N, M, A): (N, M, A)."""
    place = _places(index, scores) * scores.shape[-1] + labels[..., None]
    return ops.take(ops.reshape(scores, (-1,)), place)


def _sum_at(index, values, predictions):
    """Return the sum of the values (N, M, A) of each of the predictions (N, P, ...) at index (N, M, A): (N, P)."""
    n, p = ops.shape(predictions)[:2]
    place = ops.reshape(_places(index, predictions), (-1, 1))
    return ops.reshape(ops.scatter(place, ops.reshape(values, (-1,)), (n * p,)), (n, p))


def _covered(predicted, truth, valid, threshold):
    """Return 1 where a prediction overlaps any object by more than the threshold, else 0: (N, P)."""
    predicted, objects = ops.stop_gradient(predicted), rows_of(truth)

    def covers(image, row):
        return iou(ops.take(objects, row, axis=0)[:, None], ops.take(predicted, image, axis=0)) > threshold

    return ops.cast(any_object(covers, valid, predicted.shape[1]), "float32")
