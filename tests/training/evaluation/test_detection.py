"""Average precision: known answers, and a plain count of our own."""

import numpy as np
import plain_overlaps
import pytest
from small_data import COLORS

from cspkeras.training import DetectionData, Example, evaluate, read_voc
from cspkeras.training.evaluation.detection import SUMMARY, coco_metrics, load_detect

NAMES = ("a", "b")
BOX, FAR = [10, 10, 50, 50], [60, 60, 90, 90]
HALF = [10, 10, 50, 32]  # covers 0.55 of BOX


def image(*objects):
    boxes, labels = [box for box, _ in objects], [label for _, label in objects]
    return Example(None, np.float32(boxes).reshape(-1, 4), np.int64(labels))


def detections(*objects):
    boxes, labels, scores = zip(*objects, strict=True) if objects else ((), (), ())
    return {"boxes": np.float32(boxes).reshape(-1, 4), "labels": np.int64(labels), "scores": np.float32(scores)}


ONE = [image((BOX, 0))]
BOTH = [image((BOX, 0), (FAR, 1))]
#             truths, detections, mAP, mAP50, mAP75, AP of a, AP of b
CASES = {
    "perfect": (BOTH, [detections((BOX, 0, 0.9), (FAR, 1, 0.4))], 1, 1, 1, 1, 1),
    "a class that does not occur": (ONE, [detections((BOX, 0, 0.9))], 1, 1, 1, 1, np.nan),
    "nothing found": (BOTH, [detections()], 0, 0, 0, 0, 0),
    "nothing found, one class": (ONE, [detections()], 0, 0, 0, 0, np.nan),
    "no objects": ([image()], [detections((BOX, 0, 0.9))], 0, 0, 0, np.nan, np.nan),
    "found in an image without any": (
        ONE + [image()],
        [detections((BOX, 0, 0.9)), detections((FAR, 0, 0.5))],
        *[1] * 4,
        np.nan,
    ),
    "the wrong class": (BOTH, [detections((BOX, 1, 0.9), (FAR, 0, 0.9))], 0, 0, 0, 0, 0),
    "half of one": (BOTH, [detections((BOX, 0, 0.9))], 0.5, 0.5, 0.5, 1, 0),
    "IoU 0.55": (ONE, [detections((HALF, 0, 0.9))], 0.2, 1, 0, 0.2, np.nan),
    "next to it": (ONE, [detections((FAR, 0, 0.9))], 0, 0, 0, 0, np.nan),
    "a duplicate after it": (ONE, [detections((BOX, 0, 0.9), (BOX, 0, 0.8))], 1, 1, 1, 1, np.nan),
    "a false one before": (ONE, [detections((FAR, 0, 0.9), (BOX, 0, 0.8))], *[0.5] * 4, np.nan),
    "a false one before, in another image": (
        ONE + [image()],
        [detections((BOX, 0, 0.4)), detections((BOX, 0, 0.8))],
        *[0.5] * 4,
        np.nan,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_known_answers(case):
    truths, found, *expected = CASES[case]
    measured = coco_metrics(truths, found, NAMES)
    got = [
        measured["mAP"],
        measured["mAP50"],
        measured["mAP75"],
        *(row["AP"] for row in measured["per_class"].values()),
    ]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert tuple(measured["per_class"]) == NAMES


def plain_ap50(truths, found, label):
    """Average precision at IoU 0.5 by its definition: greedy matches by score, 101 points of recall."""
    hits, ranked = set(), []
    candidates = [(s, i, b) for i, f in enumerate(found) for b, k, s in zip(*f.values(), strict=True) if k == label]
    for _, image, box in sorted(candidates, key=lambda candidate: -candidate[0]):
        boxes, labels = truths[image].boxes, truths[image].labels
        overlaps = [
            plain_overlaps.iou(box, other) if kind == label and (image, n) not in hits else 0
            for n, (other, kind) in enumerate(zip(boxes, labels, strict=True))
        ]
        ranked.append(max(overlaps, default=0) >= 0.5)
        if ranked[-1]:
            hits.add((image, int(np.argmax(overlaps))))
    positives = sum((truth.labels == label).sum() for truth in truths)
    recall, precision = np.cumsum(ranked) / positives, np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return np.mean([max(precision[recall >= level], default=0) for level in np.linspace(0, 1, 101)])


def test_against_a_plain_implementation():
    rng = np.random.default_rng(3)
    truths, found = [], []
    for _ in range(30):
        count = rng.integers(1, 6)
        corner, side = rng.uniform(0, 60, (count, 2)), rng.uniform(10, 40, (count, 2))
        boxes, labels = np.float32(np.hstack([corner, corner + side])), rng.integers(0, 2, count)
        truths.append(Example(None, boxes, labels))
        seen = np.repeat(np.arange(count), 2)[rng.random(2 * count) < 0.7]
        moved = boxes[seen] + rng.normal(0, 3, (len(seen), 4)).astype("float32")
        kinds = np.where(rng.random(len(seen)) < 0.85, labels[seen], 1 - labels[seen])
        found.append({"boxes": moved, "labels": kinds, "scores": rng.random(len(seen)).astype("float32")})
    expected = [plain_ap50(truths, found, label) for label in range(2)]
    assert 0.2 < min(expected) < max(expected) < 0.9
    measured = coco_metrics(truths, found, NAMES)
    assert measured["mAP50"] == pytest.approx(np.mean(expected), abs=1e-6)
    for name, ap in zip(NAMES, expected, strict=True):
        assert measured["per_class"][name]["AP50"] == pytest.approx(ap, abs=1e-6)
        assert measured["curves"][name].shape == (101,)
        assert measured["curves"][name].mean() == pytest.approx(ap, abs=1e-6)


def test_small_medium_and_large():
    boxes = np.float32([[0, 0, 20, 20], [0, 0, 60, 60], [0, 0, 200, 200]])
    found = {"boxes": boxes[1:], "labels": np.zeros(2, int), "scores": np.float32([0.9, 0.8])}
    measured = coco_metrics([Example(None, boxes, np.zeros(3, "int64"))], [found], NAMES)
    assert tuple(measured)[:12] == SUMMARY
    for kind in ("mAP", "AR"):
        assert [measured[f"{kind}_{size}"] for size in ("small", "medium", "large")] == pytest.approx([0, 1, 1])
    assert [measured[f"AR_{most}"] for most in (1, 10, 100)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert measured["per_class"]["a"]["objects"] == 3
    by_mask = Example(None, boxes[2:], np.zeros(1, "int64"), areas=np.array([900.0]))  # of COCO's, not of the box
    measured = coco_metrics([by_mask], [found], NAMES)
    assert measured["AR_small"] == pytest.approx(1) and np.isnan(measured["AR_large"])


def test_crowd_regions_are_neither_missed_nor_false():
    crowd = Example(None, np.float32([FAR]), np.int64([0]), None, np.float32([[0, 0, 55, 55]]), np.int64([0]))
    found = [detections((BOX, 0, 0.9), (HALF, 0, 0.8), (FAR, 0, 0.7))]
    assert coco_metrics([crowd], found, NAMES)["mAP"] == pytest.approx(1)
    assert coco_metrics([image((FAR, 0))], found, NAMES)["mAP"] == pytest.approx(1 / 3, abs=0.01)


def test_a_detector_of_other_classes():
    data = DetectionData([Example(np.zeros((64, 64, 3), "uint8"), np.float32([BOX]), np.int64([0]))], NAMES)
    with pytest.raises(ValueError, match="the detector and the data differ: it finds class 2, the data has 0 to 1"):
        evaluate(lambda *_, **__: [detections((BOX, 2, 0.9))], data)


def oracle(data):
    """A detect function that knows the answers, in the order of the examples."""
    answers = iter(data.examples)

    def detect(images, score_threshold, iou_threshold):
        assert 1 <= len(images) <= 2 and score_threshold < 0.01 and iou_threshold == 0.5
        known = [next(answers) for _ in images]
        return [{"boxes": e.boxes, "labels": e.labels, "scores": np.ones(len(e.labels))} for e in known]

    return detect


def test_evaluate_goes_through_a_data_set_in_batches(make_voc):
    data = read_voc(make_voc(train=5), "train")
    measured = evaluate(oracle(data), data, batch_size=2)
    assert measured["mAP"] == pytest.approx(1) and list(measured["per_class"]) == list(COLORS)
    assert all(
        row == {"AP": pytest.approx(1), "AP50": pytest.approx(1), "objects": 5}
        for row in measured["per_class"].values()
    )


def test_evaluate_reports_and_skips_broken_images(tmp_path):
    good = Example(np.zeros((64, 64, 3), "uint8"), np.float32([BOX]), np.int64([0]))
    missing = Example(tmp_path / "missing.jpg", np.float32([BOX]), np.int64([0]))
    reports = []
    measured = evaluate(
        oracle(DetectionData([good] * 3, NAMES)), DetectionData([good, missing, good, good], NAMES), 2, reports.append
    )
    assert measured["mAP"] == pytest.approx(1)
    assert reports == [f"skipped: {missing.image}: not a readable image (No such file or directory)"]
    with pytest.raises(ValueError, match="none of the 2 images can be read"):
        evaluate(None, DetectionData([missing] * 2, NAMES), report=reports.append)


@pytest.mark.integration
def test_a_detector_is_loaded_with_its_class_names(detector, tmp_path):
    detector.save(tmp_path / "detector.keras")
    detect, names = load_detect(tmp_path / "detector.keras")
    assert names == ("0", "1", "2")
    (found,) = detect([np.zeros((50, 70, 3), "uint8")], score_threshold=0.0)
    assert len(found["boxes"]) == len(found["scores"]) > 0
