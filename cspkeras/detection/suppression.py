"""Non-maximum suppression in `keras.ops`, for evaluation during training.

The device has its own in NumPy (`tflite/device`); a test asserts that both give the same results.
"""

from keras import ops

from .overlaps import diou, iou

CANDIDATES = {"greedy": 1000, "diou": 1000, "soft": 300}  # number of best (box, class) pairs by method
SOFT_SIGMA = 0.5  # Soft-NMS' Gaussian, as published


def suppress(boxes, scores, score_threshold, iou_threshold, candidates=None, *, method="greedy", class_agnostic=False):
    """Return the best boxes of each image.

    Every (box, class) pair above the score threshold is a candidate, so one box may have two classes, as in Darknet. A
    score of NaN is not a candidate; a box without area or with NaN overlaps nothing.

    Args:
        boxes: (N, P, 4) x1, y1, x2, y2 in any unit.
        scores: (N, P, C) in 0..1.
        score_threshold: 0..1; candidates score more than this.
        iou_threshold: 0..1; a box is dropped where it overlaps a better one of its class by more than this.
        candidates: number of best candidates considered; None for CANDIDATES.
        method: "greedy"; "diou", where a box with another centre overlaps less (arXiv 1911.08287); or "soft", which
            drops no box but lowers its score by a Gaussian of the overlap with each better one (arXiv 1704.04503) and
            ignores `iou_threshold`.
        class_agnostic: whether boxes of different classes suppress each other.

    Returns:
        (boxes (N, K, 4), labels (N, K), scores (N, K), kept (N, K)), best first, K = `candidates` or fewer; `kept` is
        true for the boxes that remain.

    Raises:
        ValueError: for an unknown method.
    """
    if method not in CANDIDATES:
        raise ValueError(f"suppression must be one of {', '.join(CANDIDATES)}. Received: {method!r}")
    classes = scores.shape[-1]
    flat = ops.reshape(scores, (ops.shape(scores)[0], -1))
    flat = ops.where(flat > score_threshold, flat, -1.0)  # NaN too
    scores, index = ops.top_k(flat, min(candidates or CANDIDATES[method], flat.shape[-1]))
    index = ops.cast(index, "int32")
    labels = index % classes
    boxes = ops.take_along_axis(boxes, (index // classes)[..., None], axis=1)

    overlap = (diou if method == "diou" else iou)(boxes[:, :, None], boxes[:, None])
    counts = overlap > 0  # not NaN
    if not class_agnostic:
        counts = ops.logical_and(counts, labels[:, :, None] == labels[:, None])
    overlap = ops.where(counts, overlap, 0.0)
    if method != "soft":
        return boxes, labels, scores, _greedy(overlap > iou_threshold, scores > score_threshold)
    scores, order = ops.top_k(_decayed(overlap, scores, score_threshold), scores.shape[-1])
    boxes = ops.take_along_axis(boxes, order[..., None], axis=1)
    return boxes, ops.take_along_axis(labels, order, axis=1), scores, scores > score_threshold


def _greedy(overlapping, candidate):
    """Return which of the candidates (N, K), best first, remain; `overlapping` is (N, K, K)."""
    # better[i, j]: j outranks i and would suppress it. The greedy result is the only fixed point of "kept where no kept
    # box suppresses it"; repeating this from "all kept" reaches it in a few rounds.
    rank = ops.arange(candidate.shape[-1])
    better = ops.logical_and(overlapping, rank[:, None] > rank)

    def round_(kept, _):
        beaten = ops.any(ops.logical_and(better, kept[:, None]), axis=-1)
        return ops.logical_and(candidate, ops.logical_not(beaten)), kept

    def unsettled(kept, before):
        return ops.any(kept != before)

    return ops.while_loop(unsettled, round_, (candidate, ops.logical_not(candidate)))[0]


def _decayed(overlap, scores, threshold):
    """Return Soft-NMS' scores (N, K); -1 where they fell to the threshold."""
    factors = ops.exp(-ops.square(overlap) / SOFT_SIGMA)
    places = ops.arange(scores.shape[-1])

    def round_(waiting, done):
        """Finish the best waiting box, which lowers the scores of the others."""
        best = ops.cast(ops.argmax(waiting, axis=-1), "int32")
        chosen = places == best[:, None]
        lowered = waiting * ops.take_along_axis(factors, best[:, None, None], axis=1)[:, 0]
        done = ops.where(ops.logical_and(chosen, waiting > threshold), waiting, done)
        return ops.where(chosen, -1.0, lowered), done

    def unsettled(waiting, _):
        return ops.any(waiting > threshold)

    return ops.while_loop(unsettled, round_, (scores, -ops.ones_like(scores)))[1]
