"""A detector measured as a whole: COCO's figures and, at one score threshold, what it gets wrong."""

import math
from dataclasses import dataclass

import numpy as np

from ..data.examples import DetectionData, Example
from .detection import coco_metrics, run, xywh

BACKGROUND = "background"


@dataclass(frozen=True)
class Match:
    """One image's objects and detections, paired.

    Attributes:
        taken: (N,) for each object the index of its detection, -1 where it was missed.
        false: indices of the detections that are at no object.
        confused: number of objects whose detection is of another class.
    """

    taken: np.ndarray
    false: list[int]
    confused: int

    @property
    def mistakes(self):
        return self.missed + len(self.false) + self.confused

    @property
    def missed(self):
        return int((self.taken < 0).sum())


@dataclass(frozen=True)
class Assessment:
    """What `assess` measures.

    Attributes:
        data: the data set.
        examples: those whose images could be read.
        found: for each example {"boxes", "labels", "scores"}.
        metrics: as `evaluation.coco_metrics`.
        matrix, matches: as `confusion`, of the two thresholds.
        score_threshold, iou_threshold: of these.
        problems: a line for everything that was left out.
    """

    data: DetectionData
    examples: list[Example]
    found: list[dict]
    metrics: dict
    matrix: np.ndarray
    matches: list[Match]
    score_threshold: float
    iou_threshold: float
    problems: list[str]

    def worst(self, most=12):
        """Indices of the examples with the most mistakes, at most `most`; none without a mistake."""
        order = sorted(range(len(self.matches)), key=lambda i: -self.matches[i].mistakes)
        return [i for i in order[:most] if self.matches[i].mistakes]

    def name(self, i):
        """The file name of an example's image, or its number where it has none."""
        return image_name(self.examples, i)

    def to_json(self):
        """Everything but the images, as JSON has it: None where a value does not exist."""
        metrics = {key: value for key, value in self.metrics.items() if key not in ("per_class", "curves")}
        per_class = {}
        for k, (name, figures) in enumerate(self.metrics["per_class"].items()):
            right, objects, claimed = self.matrix[k, k], self.matrix[k].sum(), self.matrix[:, k].sum()
            precision, recall = (float(right / n) if n else math.nan for n in (claimed, objects))
            per_class[name] = _known({**figures, "precision": precision, "recall": recall})
        return {
            **_known(metrics),
            "images": len(self.examples),
            "per_class": per_class,
            "confusion": {
                "score_threshold": self.score_threshold,
                "iou_threshold": self.iou_threshold,
                "classes": [*self.data.class_names, BACKGROUND],
                "matrix": self.matrix.tolist(),  # rows are true classes, columns detected ones
            },
            "worst": [
                {"image": self.name(i), "missed": m.missed, "false": len(m.false), "confused": m.confused}
                for i, m in ((i, self.matches[i]) for i in self.worst())
            ],
            "curves": {name: np.round(curve, 4).tolist() for name, curve in self.metrics["curves"].items()},
            "problems": self.problems,
        }


def image_name(examples, i):
    """The file name of an image, or its number where it has none."""
    image = examples[i].image
    return f"image {i}" if isinstance(image, np.ndarray) else image.name


def _known(figures):
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def assess(detect, data, *, score_threshold=0.25, iou_threshold=0.5, batch_size=16, report=print):
    """Measure a detector on a data set, with what it gets wrong.

    Args:
        detect, data, batch_size, report: as `evaluation.evaluate`.
        score_threshold, iou_threshold: those of the confusion matrix and the mistakes, as `confusion`.

    Returns:
        `Assessment`.

    Raises:
        ValueError: as `evaluation.evaluate`.
    """
    problems = list(data.problems)

    def note(line):
        problems.append(line)
        report(line)

    examples, found = run(detect, data, batch_size, note)
    metrics = coco_metrics(examples, found, data.class_names)
    matrix, matches = confusion(examples, found, len(data.class_names), score_threshold, iou_threshold)
    return Assessment(data, examples, found, metrics, matrix, matches, score_threshold, iou_threshold, problems)


def confusion(examples, found, classes, score_threshold=0.25, iou_threshold=0.5):
    """Pair objects and detections, and count who is taken for what.

    In the order of their scores detections first take the objects of their own class, each the one that it overlaps
    most, as COCO counts; then what is left on both sides is paired whatever the class. Detections in a crowd region of
    their class are not counted, nor are those of classes that do not occur in the examples: these may well be right.

    Args:
        examples: list of `Example`.
        found: for each example {"boxes", "labels", "scores"}.
        classes: number of classes.
        score_threshold: detections score more than this.
        iou_threshold: a pair overlaps by this at least.

    Returns:
        ((classes + 1, classes + 1) int64, a row for each true class, a column for each detected one, the last of both
        for the background; a `Match` for each example).
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
    """The `Match` of detections given best first; `numbers` are their indices among all of the image's."""
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
    """IoU (N, M); with `crowd`, the share of each of the boxes that lies in the other, COCO's for crowd regions."""
    from faster_coco_eval import mask

    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    return mask.iou(xywh(boxes), xywh(others), [crowd] * len(others))
