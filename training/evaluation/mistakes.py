"""Measure a detector: COCO's figures and, at one score threshold, its mistakes."""

import math
from dataclasses import dataclass

import numpy as np

from ..data.examples import DetectionData, Example, image_name
from .detection import coco_metrics, detect_all, xywh

BACKGROUND = "background"  # the name of what is not an object, the confusion matrix's last row and column


@dataclass(frozen=True)
class Match:
    """An image's objects and detections, matched."""

    taken: np.ndarray  # (N,) the index of each object's detection, -1 for a missed object
    false: list[int]  # indices of the detections that match no object
    confused: int  # number of objects whose detection is of another class

    @property
    def mistakes(self) -> int:
        """Number of mistakes of every kind."""
        return self.missed + len(self.false) + self.confused

    @property
    def missed(self) -> int:
        """Number of missed objects."""
        return int((self.taken < 0).sum())


@dataclass(frozen=True)
class Assessment:
    """What `assess` measures."""

    data: DetectionData  # the data set
    examples: list[Example]  # those whose images could be read
    found: list[dict]  # for each example its detections, {"boxes", "labels", "scores"}
    metrics: dict  # what `evaluate` returns
    matrix: np.ndarray  # confusion matrix at the two thresholds; see `confusion`
    matches: list[Match]  # a `Match` for each example, at the two thresholds
    score_threshold: float  # score that the counted detections exceed
    iou_threshold: float  # smallest overlap of an object and its detection
    problems: list[str]  # a line for everything that was left out

    def worst(self, most: int = 12) -> list[int]:
        """Return the indices of the examples with the most mistakes, at most `most`; none without a mistake."""
        order = sorted(range(len(self.matches)), key=lambda i: -self.matches[i].mistakes)
        return [i for i in order[:most] if self.matches[i].mistakes]

    def to_json(self) -> dict:
        """Return everything but the images as JSON holds it, None where a value is undefined."""
        metrics = {key: value for key, value in self.metrics.items() if key not in ("per_class", "curves")}
        examples, per_class, names = self.examples, {}, self.data.class_names
        background = f"{BACKGROUND} (no object)" if BACKGROUND in names else BACKGROUND  # a class may be called so
        for k, (name, figures) in enumerate(self.metrics["per_class"].items()):
            per_class[name] = _defined(figures) | precision_and_recall(self.matrix, k)
        return {
            **_defined(metrics),
            "images": len(self.examples),
            "per_class": per_class,
            "confusion": {
                "score_threshold": self.score_threshold,
                "iou_threshold": self.iou_threshold,
                "classes": [*names, background],
                "matrix": self.matrix.tolist(),  # rows are true classes, columns detected ones
            },
            "worst": [
                {"image": image_name(examples[i], i), "missed": m.missed, "false": len(m.false), "confused": m.confused}
                for i, m in ((i, self.matches[i]) for i in self.worst())
            ],
            "curves": {name: np.round(curve, 4).tolist() for name, curve in self.metrics["curves"].items()},
            "problems": self.problems,
        }


def precision_and_recall(matrix, k):
    """Return class k's {"precision", "recall"} from a confusion matrix, None where there is nothing to divide by."""
    right, detected, true = matrix[k, k], matrix[:, k].sum(), matrix[k].sum()
    return {name: float(right / n) if n else None for name, n in (("precision", detected), ("recall", true))}


def _defined(figures):
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def assess(detect, data, *, score_threshold=0.25, iou_threshold=0.5, batch_size=16, report=print):
    """Measure a detector on a data set as `evaluate` does, and its mistakes by `confusion`; return an `Assessment`."""
    problems = list(data.problems)

    def note(line):
        problems.append(line)
        report(line)

    examples, found = detect_all(detect, data, batch_size, note)
    metrics = coco_metrics(examples, found, data.class_names)
    matrix, matches = confusion(examples, found, len(data.class_names), score_threshold, iou_threshold)
    return Assessment(data, examples, found, metrics, matrix, matches, score_threshold, iou_threshold, problems)


def confusion(examples, found, classes, score_threshold=0.25, iou_threshold=0.5):
    """Match objects and detections, and count which class is detected as which.

    In the order of their scores, detections are first matched with the objects of their own class, each with the one
    that it overlaps most, as COCO does; then the detections and objects left over are matched whatever their class.
    Detections in a crowd region of their class are not counted, nor are those of classes that do not occur in the
    examples, since these may be right. A detection counts if it exceeds the score, a match if it reaches the IoU.

    Return (the confusion matrix (classes + 1, classes + 1), int64, with a row for each true class and a column for each
    detected one, the last of both for the background; a `Match` for each example).
    """
    occurs = np.zeros(classes, bool)
    for example in examples:
        occurs[example.labels] = occurs[example.crowd_labels] = True
    matrix, matches = np.zeros((classes + 1,) * 2, "int64"), []
    for example, detection in zip(examples, found, strict=True):
        labels, scores = np.asarray(detection["labels"], "int64"), np.asarray(detection["scores"])
        kept = np.flatnonzero((scores > score_threshold) & occurs[labels])
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        match = _match(example, detection["boxes"][kept], labels[kept], kept, iou_threshold)
        missed = match.taken < 0
        seen = np.where(missed, classes, labels[match.taken] if len(labels) else 0)
        np.add.at(matrix, (example.labels, seen), 1)
        np.add.at(matrix, (classes, labels[match.false]), 1)
        matches.append(match)
    return matrix, matches


def _match(example, boxes, labels, numbers, iou_threshold):
    """Return the `Match` of detections given best first; `numbers` are their indices among all of the image's."""
    overlap, same = _overlap(boxes, example.boxes, 0), labels[:, None] == example.labels
    taken, free = np.full(len(example.boxes), -1), np.ones(len(boxes), bool)
    for allowed in (same & (overlap >= iou_threshold), ~same & (overlap >= iou_threshold)):
        for i in np.flatnonzero(free & allowed.any(axis=1)):
            candidates = allowed[i] & (taken < 0)
            if candidates.any():
                taken[np.where(candidates, overlap[i], -1).argmax()], free[i] = i, False
    confused = int(sum(labels[i] != label for i, label in zip(taken, example.labels, strict=True) if i >= 0))
    covered = _overlap(boxes, example.crowd_boxes, 1) * (labels[:, None] == example.crowd_labels)
    false = free & ~(covered >= iou_threshold).any(axis=1)
    return Match(np.array([numbers[i] if i >= 0 else -1 for i in taken], int), numbers[false].tolist(), confused)


def _overlap(boxes, others, crowd):
    """Return the IoU (N, M) or, with `crowd`, the share of each box that lies in the other, as COCO for crowds."""
    from faster_coco_eval import mask

    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    return mask.iou(xywh(boxes), xywh(others), [crowd] * len(others))
