"""Suppression, against plain loops, the published pseudocode and the device's own."""

import math
import re

import numpy as np
import plain_overlaps
import pytest

from cspkeras.detection.suppression import CANDIDATES, suppress
from cspkeras.tflite.device.suppression import suppress as suppress_on_device

IMAGES, BOXES, CLASSES = 3, 60, 4
METHODS = tuple(CANDIDATES)


def scene(seed, crowded=0.4):
    """Boxes x1, y1, x2, y2 and scores without ties."""
    rng = np.random.default_rng(seed)
    corner, size = rng.random((IMAGES, BOXES, 2)), rng.uniform(0.05, crowded, (IMAGES, BOXES, 2))
    scores = rng.permutation(np.linspace(0.01, 0.99, IMAGES * BOXES * CLASSES))
    boxes = np.concatenate([corner, corner + size], -1)
    return boxes.astype("float32"), scores.reshape(IMAGES, BOXES, CLASSES).astype("float32")


def tied(seed):
    """As `scene`, but places, sizes and scores are few: equal scores, equal boxes, overlaps equal to a threshold."""
    rng = np.random.default_rng(seed)
    corner, size = rng.integers(0, 4, (2, IMAGES, BOXES, 2))
    boxes = np.concatenate([corner, corner + size], -1) / 4  # some without area
    scores = rng.choice([0.0, 0.25, 0.5, 0.75], (IMAGES, BOXES, CLASSES), p=[0.7, 0.1, 0.1, 0.1])
    return boxes.astype("float32"), scores.astype("float32")


def candidates_of(boxes, scores, threshold, most):
    """[score, label, box] of one image, best first, the first of equals first."""
    boxes, scores = boxes.tolist(), scores.tolist()  # Python's numbers are faster one by one
    pairs = [[score, label, boxes[i]] for i, row in enumerate(scores) for label, score in enumerate(row)]
    return sorted((pair for pair in pairs if pair[0] > threshold), key=lambda pair: -pair[0])[:most]


def plain(boxes, scores, score_threshold, iou_threshold, method="greedy", class_agnostic=False, candidates=None):
    """(score, label, box) of one image's best, best first."""
    waiting = candidates_of(boxes, scores, score_threshold, candidates or CANDIDATES[method])
    kept = []
    if method == "soft":  # as in its paper: take the best, lower the others, again
        while waiting:
            best = max(range(len(waiting)), key=lambda i: (waiting[i][0], -i))
            chosen = waiting.pop(best)
            kept.append(chosen)
            for other in waiting:
                if class_agnostic or other[1] == chosen[1]:
                    other[0] *= math.exp(-(plain_overlaps.iou(chosen[2], other[2]) ** 2) / 0.5)
            waiting = [pair for pair in waiting if pair[0] > score_threshold]
        return kept
    overlap = plain_overlaps.diou if method == "diou" else plain_overlaps.iou
    for score, label, box in waiting:
        rivals = [other for _, k, other in kept if class_agnostic or k == label]
        if all(overlap(box, other) <= iou_threshold for other in rivals):
            kept.append((score, label, box))
    return kept


def in_keras(boxes, scores, *thresholds, **options):
    """What is kept in each image: (scores, labels, boxes), best first."""
    found = map(np.asarray, suppress(boxes, scores, *thresholds, **options))
    return [(s[kept], k[kept], b[kept]) for b, k, s, kept in zip(*found, strict=True)]


def on_device(boxes, scores, score_threshold, iou_threshold, method="greedy", class_agnostic=False):
    """The same in one image by the device's script."""
    pairs = candidates_of(boxes, scores, score_threshold, 1000)
    box = np.array([pair[2] for pair in pairs], np.float32).reshape(-1, 4)
    label, score = np.array([pair[1] for pair in pairs], int), np.array([pair[0] for pair in pairs], np.float32)
    kept, left = suppress_on_device(box, label, score, iou_threshold, score_threshold, method, class_agnostic)
    return left, label[kept], box[kept]


def assert_same(found, expected):
    """Scores, labels and boxes, in order; a decayed score by its first six digits."""
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    for a, b in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(a, b)


def assert_all_agree(boxes, scores, *thresholds, **options):
    """Asserts that Keras and the device keep what the plain loops keep; returns how many in each image."""
    found = in_keras(boxes, scores, *thresholds, **options)
    for image, (box, score) in enumerate(zip(boxes, scores, strict=True)):
        expected = plain(box, score, *thresholds, **options)
        assert len(found[image][0]) == len(expected)
        assert_same(on_device(box, score, *thresholds, **options), found[image])
        if expected:
            assert_same(found[image], [np.array(column) for column in zip(*expected, strict=True)])
    return [len(kept[0]) for kept in found]


@pytest.mark.integration
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("score_threshold", "iou_threshold", "crowded"),
    [(0.01, 0.5, 0.4), (0.3, 0.2, 0.4), (0.6, 0.45, 1.0), (0.2, 0.0, 1.0), (0.0, 1.0, 1.0)],
)
def test_keras_and_the_device_keep_what_plain_loops_keep(
    method, class_agnostic, score_threshold, iou_threshold, crowded
):
    boxes, scores = scene(1, crowded)
    options = dict(method=method, class_agnostic=class_agnostic)
    kept = assert_all_agree(boxes, scores, score_threshold, iou_threshold, **options)
    assert all(count > 0 for count in kept)
    if iou_threshold < 1:
        assert sum(kept) < (scores > score_threshold).sum()


@pytest.mark.integration
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("iou_threshold", [0.0, 0.25, 0.5])
def test_ties_fall_alike_everywhere(method, class_agnostic, iou_threshold):
    boxes, scores = tied(2)
    assert_all_agree(boxes, scores, 0.2, iou_threshold, method=method, class_agnostic=class_agnostic)


@pytest.mark.integration
@pytest.mark.parametrize("method", METHODS)
def test_thousands_of_boxes(method):
    rng = np.random.default_rng(5)
    corner, size = rng.random((1, 4000, 2)), rng.uniform(0.01, 0.1, (1, 4000, 2))
    boxes = np.concatenate([corner, corner + size], -1).astype("float32")
    scores = rng.permutation(np.linspace(0.01, 0.99, 8000)).reshape(1, 4000, 2).astype("float32")
    (kept,) = assert_all_agree(boxes, scores, 0.1, 0.3, method=method)
    assert 100 < kept <= CANDIDATES[method]


@pytest.mark.integration
@pytest.mark.parametrize("candidates", [1, 7, 50])
@pytest.mark.parametrize("method", METHODS)
def test_only_the_best_candidates_enter(candidates, method):
    boxes, scores = scene(0)
    assert suppress(boxes, scores, 0.1, 0.3, candidates, method=method)[2].shape == (IMAGES, candidates)
    for image, found in enumerate(in_keras(boxes, scores, 0.1, 0.3, candidates, method=method)):
        expected = plain(boxes[image], scores[image], 0.1, 0.3, method, candidates=candidates)
        assert_same(found, [np.array(column) for column in zip(*expected, strict=True)])


@pytest.mark.parametrize("method", METHODS)
def test_nothing_above_the_threshold_keeps_nothing(method):
    assert assert_all_agree(*scene(0), 0.995, 0.5, method=method) == [0, 0, 0]


def test_a_long_chain_of_boxes_settles_as_greedily():
    # Each box overlaps its neighbours alone: every second one stays.
    x = np.arange(300, dtype="float32")
    boxes = np.stack([x, 0 * x, x + 1.5, 0 * x + 1], -1)[None]
    scores = np.linspace(0.9, 0.1, 300, dtype="float32")[None, :, None]
    assert np.asarray(suppress(boxes, scores, 0.0, 0.1)[3])[0].tolist() == [True, False] * 150
    assert assert_all_agree(boxes, scores, 0.0, 0.1) == [150]


def test_diou_spares_a_box_with_another_centre():
    boxes = np.float32([[[0, 0, 4, 4], [2, 0, 6, 4], [0, 0, 4, 2]]])  # IoU with the first: 1/3, 1/2
    scores = np.float32([[[0.9], [0.8], [0.7]]])
    assert assert_all_agree(boxes, scores, 0.1, 0.3) == [1]
    # Centres 2 apart in a diagonal of 52: 1/3 - 4/52 = 0.26; 1 apart in a diagonal of 32: 1/2 - 1/32.
    assert assert_all_agree(boxes, scores, 0.1, 0.3, method="diou") == [2]
    assert assert_all_agree(boxes, scores, 0.1, 0.25, method="diou") == [1]


def test_soft_lowers_scores_by_a_gaussian_of_the_overlap():
    boxes = np.float32([[[0, 0, 4, 4], [0, 0, 4, 2], [8, 8, 9, 9], [0, 0, 4, 4]]])
    scores = np.float32([[[0.9], [0.8], [0.5], [0.3]]])
    ((left, *_),) = in_keras(boxes, scores, 0.01, 0.5, method="soft")
    # IoU 1/2 with the second; 1, then 1/2 with the last.
    expected = [0.9, 0.5, 0.8 * math.exp(-0.5), 0.3 * math.exp(-2) * math.exp(-0.5)]
    np.testing.assert_allclose(left, expected, rtol=1e-5)
    assert len(in_keras(boxes, scores, 0.25, 0.5, method="soft")[0][0]) == 3  # lowered below the threshold


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_boxes_without_area_suppress_nothing(method, class_agnostic):
    boxes = np.float32([[[0.5, 0.5, 0.5, 0.5], [0.4, 0.4, 0.6, 0.6], [0.5, 0.5, 0.5, 0.5], [0.4, 0.5, 0.6, 0.5]]])
    scores = np.float32([[[0.9], [0.8], [0.7], [0.6]]])
    assert assert_all_agree(boxes, scores, 0.1, 0.0, method=method, class_agnostic=class_agnostic) == [4]


@pytest.mark.integration
@pytest.mark.parametrize("method", METHODS)
def test_a_score_of_nan_is_no_candidate_and_a_box_of_nan_overlaps_nothing(method):
    boxes, scores = scene(3)
    scores[:, ::3] = np.nan
    expected = in_keras(boxes, np.nan_to_num(scores), 0.3, 0.4, method=method)
    for image, found in enumerate(in_keras(boxes, scores, 0.3, 0.4, method=method)):
        assert_same(found, expected[image])
    boxes[:, ::3], scores[:, ::3], boxes[0, 0, :3] = np.nan, 0.95, 0.5
    for image, found in enumerate(in_keras(boxes, scores, 0.3, 0.4, method=method)):
        sound = np.isfinite(found[2]).all(axis=1)
        assert (~sound).sum() == BOXES / 3 * CLASSES
        assert_same([column[sound] for column in found], expected[image])
        assert_same(on_device(boxes[image], scores[image], 0.3, 0.4, method), found)


@pytest.mark.parametrize(("class_agnostic", "expected"), [(False, [(0.9, 2), (0.8, 0)]), (True, [(0.9, 2)])])
def test_one_box_may_be_two_classes(class_agnostic, expected):
    boxes, scores = np.float32([[[0, 0, 1, 1]]]), np.float32([[[0.8, 0.1, 0.9]]])
    ((left, labels, _),) = in_keras(boxes, scores, 0.25, 0.5, class_agnostic=class_agnostic)
    assert [(round(float(s), 2), int(k)) for s, k in zip(left, labels, strict=True)] == expected


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=re.escape("must be one of greedy, diou, soft. Received: 'fast'")):
        suppress(*scene(0), 0.3, 0.5, method="fast")


@pytest.mark.integration
def test_a_detector_takes_the_method(detector):
    images = np.random.default_rng(0).integers(0, 255, (2, 40, 60, 3), "uint8")
    found = {
        (method, agnostic): detector.detect(images, 0.001, 0.05, suppression=method, class_agnostic=agnostic)
        for method in METHODS
        for agnostic in (False, True)
    }
    for image in range(len(images)):
        counts = {options: len(kept[image]["scores"]) for options, kept in found.items()}
        assert 0 < counts["greedy", True] < counts["greedy", False] < counts["diou", False]
        greedy, soft = (found[method, False][image] for method in ("greedy", "soft"))
        np.testing.assert_array_equal(soft["boxes"][0], greedy["boxes"][0])
        assert soft["scores"][0] == greedy["scores"][0] and (np.diff(soft["scores"]) <= 0).all()
    with pytest.raises(ValueError, match="must be one of greedy, diou, soft"):
        detector.detect(images, suppression="fast")
