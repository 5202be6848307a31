"""Suppression, against a plain greedy loop and the device's own."""

import numpy as np
import pytest

from cspkeras.detection.suppression import suppress
from cspkeras.tflite.detect import suppress as suppress_on_device

PICTURES, BOXES, CLASSES = 3, 60, 4


def scene(seed, crowded=0.4):
    """Boxes x1, y1, x2, y2 and scores without ties."""
    rng = np.random.default_rng(seed)
    corner, size = rng.random((PICTURES, BOXES, 2)), rng.uniform(0.05, crowded, (PICTURES, BOXES, 2))
    scores = rng.permutation(np.linspace(0.01, 0.99, PICTURES * BOXES * CLASSES))
    boxes = np.concatenate([corner, corner + size], -1)
    return boxes.astype("float32"), scores.reshape(PICTURES, BOXES, CLASSES).astype("float32")


def overlap(a, b):
    width, height = (min(a[2 + i], b[2 + i]) - max(a[i], b[i]) for i in (0, 1))
    common = max(width, 0) * max(height, 0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - common
    return common / union if union else 0


def greedy(boxes, scores, score_threshold, iou_threshold, candidates=1000):
    """(score, label, box) of one picture's best, best first."""
    pairs = [(score, label, boxes[i]) for i, row in enumerate(scores) for label, score in enumerate(row)]
    pairs = sorted((pair for pair in pairs if pair[0] > score_threshold), key=lambda pair: -pair[0])[:candidates]
    kept = []
    for pair in pairs:
        if all(pair[1] != other[1] or overlap(pair[2], other[2]) <= iou_threshold for other in kept):
            kept.append(pair)
    return kept


def kept_of(out, picture):
    boxes, labels, scores, kept = (np.asarray(x)[picture] for x in out)
    return list(zip(scores[kept], labels[kept], boxes[kept], strict=True))


def assert_same(found, expected):
    assert [(score, label) for score, label, _ in found] == [(score, label) for score, label, _ in expected]
    np.testing.assert_array_equal([box for *_, box in found], [box for *_, box in expected])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("score_threshold", "iou_threshold"), [(0.0, 0.5), (0.3, 0.2), (0.6, 0.45), (0.2, 0.0)])
@pytest.mark.parametrize("crowded", [0.4, 1.0])
def test_suppression_is_greedy_as_on_the_device(seed, score_threshold, iou_threshold, crowded):
    boxes, scores = scene(seed, crowded)
    out = suppress(boxes, scores, score_threshold, iou_threshold)
    assert out[0].shape == (PICTURES, BOXES * CLASSES, 4)
    for picture in range(PICTURES):
        expected = greedy(boxes[picture], scores[picture], score_threshold, iou_threshold)
        assert 0 < len(expected) < (scores[picture] > score_threshold).sum()
        assert_same(kept_of(out, picture), expected)

        rows, labels = np.nonzero(scores[picture] > score_threshold)
        order = np.argsort(-scores[picture][rows, labels])
        rows, labels = rows[order], labels[order]
        on_device = suppress_on_device(boxes[picture][rows], labels, iou_threshold)
        chosen = [(scores[picture][r, k], k, boxes[picture][r]) for r, k in zip(rows, labels, strict=True)]
        assert_same([chosen[i] for i in on_device], expected)


@pytest.mark.parametrize("candidates", [1, 7, 50])
def test_only_the_best_candidates_enter(candidates):
    boxes, scores = scene(0)
    out = suppress(boxes, scores, 0.1, 0.3, candidates=candidates)
    assert out[2].shape == (PICTURES, candidates)
    for picture in range(PICTURES):
        assert_same(kept_of(out, picture), greedy(boxes[picture], scores[picture], 0.1, 0.3, candidates))


def test_nothing_above_the_threshold_keeps_nothing():
    assert not np.any(suppress(*scene(0), 0.995, 0.5)[3])


def test_a_long_chain_of_boxes_settles_as_greedily():
    # Each box overlaps its neighbours alone: every second one stays.
    x = np.arange(30, dtype="float32")
    boxes = np.stack([x, 0 * x, x + 1.5, 0 * x + 1], -1)[None]
    scores = np.linspace(0.9, 0.1, 30, dtype="float32")[None, :, None]
    kept = suppress(boxes, scores, 0.0, 0.1)[3]
    assert np.asarray(kept)[0].tolist() == [True, False] * 15


def test_boxes_without_area_suppress_nothing():
    boxes = np.float32([[[0.5, 0.5, 0.5, 0.5], [0.4, 0.4, 0.6, 0.6], [0.5, 0.5, 0.5, 0.5]]])
    kept = suppress(boxes, np.float32([[[0.9], [0.8], [0.7]]]), 0.1, 0.0)[3]
    assert np.asarray(kept).all()


def test_one_box_may_be_two_classes():
    out = suppress(np.float32([[[0, 0, 1, 1]]]), np.float32([[[0.8, 0.1, 0.9]]]), 0.25, 0.5)
    assert [(round(float(score), 2), int(label)) for score, label, _ in kept_of(out, 0)] == [(0.9, 2), (0.8, 0)]
