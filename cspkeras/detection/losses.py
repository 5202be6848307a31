"""The detection loss of YOLO heads: CIoU for boxes, binary cross-entropy for objectness and classes."""

from keras import ops

from .assignment import assign
from .boxes import ciou, corners, decode_boxes, flatten_heads, from_corners, iou
from .yolox_loss import YoloXLoss


def default_loss(anchors, classes):
    """The loss that goes with a detector's anchors: `YoloXLoss` for an anchor-free one, else `YoloLoss`."""
    return (YoloXLoss if anchors.linear else YoloLoss)(anchors, classes)


class YoloLoss:
    """Loss of a detector's raw heads against padded boxes and labels.

    Each object is answered for by the anchors that `assignment.assign` names. A prediction that answers for nothing but
    overlaps an object by more than `ignore_threshold` is not held against the network (Darknet's ignore_thresh).

    Args:
        anchors: `Anchors`.
        classes: number of classes.
        iou_threshold: see `assignment.assign`.
        ignore_threshold: IoU in 0..1.
        box_weight, objectness_weight, class_weight: the parts' weights.
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
    ):
        self.anchors, self.classes = anchors, classes
        self.iou_threshold, self.ignore_threshold = iou_threshold, ignore_threshold
        self.box_weight, self.objectness_weight, self.class_weight = box_weight, objectness_weight, class_weight

    def __call__(self, target, heads):
        """The loss, a scalar: its parts summed over the batch, divided by the number of answering predictions.

        Args:
            target: {"boxes": (N, M, 4) x1, y1, x2, y2 in parts of the input, "labels": (N, M)}; labels below 0 are
                padding.
            heads: list of raw head maps, finest first.
        """
        heads = [ops.cast(head, "float32") for head in heads]
        raw_boxes, raw_scores = flatten_heads(heads, self.classes)
        labels = ops.cast(target["labels"], "int32")
        truth_corners = ops.cast(target["boxes"], "float32")
        truth = from_corners(truth_corners)
        valid = labels >= 0
        index, positive = assign(truth, valid, self.anchors, self.iou_threshold)
        weight = ops.cast(positive, "float32")
        count = ops.maximum(ops.sum(weight), 1.0)

        decoded = decode_boxes(raw_boxes, self.anchors.grid())
        overlap = ciou(_take(decoded, index), truth[:, :, None])
        box_loss = ops.sum((1 - overlap) * weight) / count

        logits = _take(raw_scores[..., 1:], index)
        wanted = ops.one_hot(ops.maximum(labels, 0), self.classes)[:, :, None]
        class_loss = ops.sum(_bce(wanted, logits) * weight[..., None]) / count

        objectness = raw_scores[..., 0]
        answering = _scatter(index, weight, ops.shape(objectness)[1])
        covered = _covered(corners(decoded), truth_corners, valid, self.ignore_threshold)
        held = ops.maximum(answering, 1 - covered)
        objectness_loss = ops.sum(_bce(answering, objectness) * held) / count

        parts = (box_loss, objectness_loss, class_loss)
        weights = (self.box_weight, self.objectness_weight, self.class_weight)
        return sum(part * weight for part, weight in zip(parts, weights, strict=True))


def _bce(wanted, logits):
    return ops.maximum(logits, 0.0) - logits * wanted + ops.log1p(ops.exp(-ops.abs(logits)))


def _take(predictions, index):
    """predictions (N, P, K) at index (N, M, A) -> (N, M, A, K)."""
    n, m, a = ops.shape(index)
    flat = ops.take_along_axis(predictions, ops.reshape(index, (n, m * a, 1)), axis=1)
    return ops.reshape(flat, (n, m, a, predictions.shape[-1]))


def _scatter(index, weight, predictions):
    """1 where any positive index points, else 0: (N, P)."""
    n = ops.shape(index)[0]
    rows = ops.broadcast_to(ops.arange(n)[:, None, None], ops.shape(index))
    flat = ops.reshape(rows * predictions + index, (-1, 1))
    hits = ops.scatter(flat, ops.reshape(weight, (-1,)), (n * predictions,))
    return ops.reshape(ops.minimum(hits, 1.0), (n, predictions))


def _covered(predicted, truth, valid, threshold):
    """1 where a prediction overlaps any object by more than the threshold: (N, P)."""
    overlap = iou(predicted[:, :, None], truth[:, None])
    covering = ops.logical_and(overlap > threshold, valid[:, None])
    return ops.cast(ops.any(covering, axis=-1), "float32")
