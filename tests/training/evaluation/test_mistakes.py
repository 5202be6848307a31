"""The confusion matrix and each image's mistakes, by hand."""

import json

import numpy as np
import pytest

from cspkeras.training import DetectionData, Example
from cspkeras.training.evaluation.mistakes import assess, confusion

BOX, FAR = [10, 10, 50, 50], [60, 60, 90, 90]
HALF = [10, 10, 50, 32]  # covers 0.55 of BOX
A, B, C = range(3)
NONE = 3


def example(*objects, crowd=()):
    (boxes, labels), (crowd_boxes, crowd_labels) = ([*zip(*part, strict=True)] or ((), ()) for part in (objects, crowd))
    return Example(
        np.zeros((100, 100, 3), "uint8"),
        np.float32(boxes).reshape(-1, 4),
        np.int64(labels),
        None,
        np.float32(crowd_boxes).reshape(-1, 4),
        np.int64(crowd_labels),
    )


def detections(*objects):
    boxes, labels, scores = zip(*objects, strict=True) if objects else ((), (), ())
    return {"boxes": np.float32(boxes).reshape(-1, 4), "labels": np.int32(labels), "scores": np.float32(scores)}


ELSEWHERE = example((FAR, A), (BOX, B))  # so that both classes occur
#        objects, detections, {(true, detected): count}, (missed, false, confused)
CASES = {
    "all right": (
        example((BOX, A), (FAR, B)),
        detections((BOX, A, 0.9), (FAR, B, 0.5)),
        {(A, A): 1, (B, B): 1},
        (0, 0, 0),
    ),
    "nothing there, nothing found": (example(), detections(), {}, (0, 0, 0)),
    "nothing found": (example((BOX, A)), detections(), {(A, NONE): 1}, (1, 0, 0)),
    "nothing there": (example(), detections((BOX, A, 0.9)), {(NONE, A): 1}, (0, 1, 0)),
    "another class": (example((BOX, A)), detections((BOX, B, 0.9)), {(A, B): 1}, (0, 0, 1)),
    "elsewhere": (example((BOX, A)), detections((FAR, A, 0.9)), {(A, NONE): 1, (NONE, A): 1}, (1, 1, 0)),
    "a duplicate": (example((BOX, A)), detections((BOX, A, 0.9), (BOX, A, 0.8)), {(A, A): 1, (NONE, A): 1}, (0, 1, 0)),
    "IoU 0.55": (example((BOX, A)), detections((HALF, A, 0.9)), {(A, A): 1}, (0, 0, 0)),
    "IoU below": (example((BOX, A)), detections(([10, 10, 50, 29], A, 0.9)), {(A, NONE): 1, (NONE, A): 1}, (1, 1, 0)),
    "score at the threshold": (example((BOX, A)), detections((BOX, A, 0.25)), {(A, NONE): 1}, (1, 0, 0)),
    "its own class first, whatever the score": (
        example((BOX, A)),
        detections((BOX, B, 0.9), (HALF, A, 0.3)),
        {(A, A): 1, (NONE, B): 1},
        (0, 1, 0),
    ),
    "each the object it overlaps most": (
        example((BOX, A), (HALF, A)),
        detections((HALF, A, 0.9), (BOX, A, 0.8)),
        {(A, A): 2},
        (0, 0, 0),
    ),
    "a class that does not occur": (example((BOX, A)), detections((FAR, C, 0.9)), {(A, NONE): 1}, (1, 0, 0)),
    "in a crowd": (
        example((BOX, A), crowd=[([0, 0, 100, 100], A)]),
        detections((BOX, A, 0.9), (FAR, A, 0.8), (FAR, A, 0.7), (FAR, B, 0.6)),
        {(A, A): 1, (NONE, B): 1},
        (0, 1, 0),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_taken_for_what(case):
    here, found, expected, mistakes = CASES[case]
    matrix, (match, _) = confusion([here, ELSEWHERE], [found, detections()], 3)
    matrix[A, NONE] -= 1  # those of the other image
    matrix[B, NONE] -= 1
    assert {(i, j): matrix[i, j] for i, j in np.argwhere(matrix)} == expected
    assert (match.missed, len(match.false), match.confused) == mistakes and match.mistakes == sum(mistakes)


def test_thresholds():
    here, found = example((BOX, A)), detections((BOX, A, 0.6), (HALF, A, 0.5), (FAR, A, 0.1))
    for score, iou, expected in ((0.55, 0.5, [1, 0]), (0.25, 0.5, [1, 1]), (0.05, 0.5, [1, 2]), (0.25, 1.0, [1, 1])):
        matrix, _ = confusion([here], [found], 1, score, iou)
        assert matrix[:, 0].tolist() == expected


def test_the_index_of_a_taken_detection_is_the_images():
    found = detections((FAR, A, 0.1), (BOX, B, 0.3), (FAR, A, 0.9))
    _, (match, _) = confusion([example((BOX, B), (FAR, A)), ELSEWHERE], [found, detections()], 3)
    assert match.taken.tolist() == [1, 2] and match.false == []


def test_an_assessment_as_json():
    data = DetectionData([example((BOX, A), (FAR, B)), example((FAR, B)), example()], ("a", "b", "c"), ["one line"])
    answers = [detections((BOX, A, 0.9)), detections((FAR, A, 0.8), (BOX, A, 0.7)), detections()]
    assessment = assess(lambda images, **_: [answers.pop(0) for _ in images], data, batch_size=2)
    known = json.loads(json.dumps(assessment.to_json(), allow_nan=False))
    assert known["images"] == 3 and known["problems"] == ["one line"]
    assert known["per_class"]["a"] == {"AP": 1.0, "AP50": 1.0, "objects": 1, "precision": 1 / 3, "recall": 1.0}
    assert known["per_class"]["b"] == {"AP": 0.0, "AP50": 0.0, "objects": 2, "precision": None, "recall": 0.0}
    assert set(known["per_class"]["c"].values()) == {None, 0}
    assert known["confusion"]["classes"] == ["a", "b", "c", "background"]
    assert known["confusion"]["matrix"] == [[1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert known["confusion"]["score_threshold"] == 0.25 and known["confusion"]["iou_threshold"] == 0.5
    assert known["worst"] == [
        {"image": "image 1", "missed": 0, "false": 1, "confused": 1},
        {"image": "image 0", "missed": 1, "false": 0, "confused": 0},
    ]
    assert list(known["curves"]) == ["a", "b"] and known["curves"]["a"] == [1.0] * 101


def test_an_image_that_cannot_be_read_is_a_problem(tmp_path):
    broken = Example(tmp_path / "a.jpg", np.float32([BOX]), np.int64([A]))
    lines, data = [], DetectionData([example((BOX, A)), broken], ("a",))
    assessment = assess(lambda images, **_: [detections() for _ in images], data, report=lines.append)
    assert len(assessment.examples) == 1 and assessment.problems == lines
    assert lines == [f"skipped: {tmp_path}/a.jpg: not a readable image (No such file or directory)"]
