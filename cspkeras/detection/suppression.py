"""Greedy non-maximum suppression, class by class, in `keras.ops`: for evaluation while training.

The device has its own in NumPy (`tflite/detect.py`), of which a test asserts the same results.
"""

from keras import ops

from .boxes import iou

CANDIDATES = 1000  # best (box, class) pairs that enter the suppression


def suppress(boxes, scores, score_threshold, iou_threshold, candidates=CANDIDATES):
    """The best boxes of each picture.

    Every (box, class) pair above the score threshold is a candidate, so that one box may be two classes, as in Darknet.

    Args:
        boxes: (N, P, 4) x1, y1, x2, y2 in any unit.
        scores: (N, P, C) in 0..1.
        score_threshold: candidates score more than this.
        iou_threshold: a box is dropped where it overlaps a better one of its class by more than this.
        candidates: number of best candidates considered.

    Returns:
        (boxes (N, K, 4), labels (N, K), scores (N, K), kept (N, K)), best first, K = `candidates` or fewer; `kept` is
        true for what remains.
    """
    classes = scores.shape[-1]
    flat = ops.reshape(scores, (ops.shape(scores)[0], -1))
    top, index = ops.top_k(flat, min(candidates, flat.shape[-1]))
    index = ops.cast(index, "int32")
    labels = index % classes
    boxes = ops.take_along_axis(boxes, (index // classes)[..., None], axis=1)

    # better[i, j]: j outranks i and would suppress it. Greedy's answer is the one fixed point of
    # "kept where no kept box suppresses it"; repeating that from "all kept" reaches it in a few rounds.
    overlap = iou(boxes[:, :, None], boxes[:, None])
    same = labels[:, :, None] == labels[:, None]
    rank = ops.arange(overlap.shape[-1])
    better = ops.logical_and(ops.logical_and(overlap > iou_threshold, same), rank[:, None] > rank)
    candidate = top > score_threshold

    def round_(kept, _):
        beaten = ops.any(ops.logical_and(better, kept[:, None]), axis=-1)
        return ops.logical_and(candidate, ops.logical_not(beaten)), kept

    def unsettled(kept, before):
        return ops.any(kept != before)

    kept, _ = ops.while_loop(unsettled, round_, (candidate, ops.logical_not(candidate)))
    return boxes, labels, top, kept
