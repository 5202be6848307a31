"""Measure a classifier on labelled images: how often it is right, and which classes it confuses."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...classification.pixels import pixels_of
from ...classification.scores import LOGITS, SIGMOID, SOFTMAX, classes_of, in_two, score_kind
from ..data.examples import ClassificationData, image_name
from ..pipeline.classification import numbered_batches
from .mistakes import precision_and_recall

TOP = 5
MIN_PROBABILITY = 1e-7  # in the cross-entropy


class Answers(NamedTuple):
    """A classifier from a Keras model or a .tflite file; one of a single score has two classes with a score each."""

    ask: Callable[[np.ndarray], np.ndarray]  # function of images (N, height, width, 3) in 0..1 to scores (N, classes)
    size: tuple[int, int]  # (height, width) of the images
    kind: str  # what the scores are, one of `SCORES`
    classes: int  # number of classes
    class_names: tuple[str, ...] | None  # names of the model's scores or of the classes, or None


def answers_of(model, pixels=None, scores=None):
    """Return the `Answers` of a classifier: a Keras 3 model, or what `quantize_aware` makes of one.

    `pixels` is the range that it takes, `scores` what its outputs are; None: as the model shows.
    """
    pixels, kind = pixels or pixels_of(model), score_kind(model, scores)
    channels, outputs = model.inputs[0].shape[-1], model.outputs[0].shape[-1]

    def ask(images):
        values = np.asarray(model.predict_on_batch(pixels.of_unit(images, channels)))
        return np.asarray(in_two(values[: len(images)], kind)[0])  # each of several GPUs returns all scores

    size, names = tuple(model.inputs[0].shape[1:3]), getattr(model, "class_names", None)
    return Answers(ask, size, _kind_in_two(outputs, kind), classes_of(outputs, kind), names)


def load_answers(path):
    """Return the `Answers` of a classifier's .tflite file, computed as the device's script does."""
    from ...tflite.device.classify import Classifier

    device = Classifier(path)
    kind = SIGMOID if device.settings.get("scores") == SIGMOID else SOFTMAX
    outputs = len(device.labels)

    def ask(images):
        scores = np.stack([device.scores(np.rint(image * 255).astype("uint8")) for image in images])
        return np.asarray(in_two(scores, kind)[0])

    size = device.settings["input"]["height"], device.settings["input"]["width"]
    return Answers(ask, size, _kind_in_two(outputs, kind), classes_of(outputs, kind), tuple(device.labels))


def _kind_in_two(outputs, kind):
    return in_two(np.zeros((1, outputs), "float32"), kind)[1]


@dataclass(frozen=True)
class Classified:
    """A classifier's predictions for each image that could be read."""

    data: ClassificationData  # the data set
    numbers: np.ndarray  # (N,) indices of the images among the data's examples
    labels: np.ndarray  # (N,) their classes
    ranks: np.ndarray  # (N,) number of other classes that score as much as the true one, or more
    predicted: np.ndarray  # (N,) the classes with the best scores
    confidences: np.ndarray  # (N,) the probabilities of these
    losses: np.ndarray  # (N,) cross-entropies
    problems: list[str]  # a line for everything that was left out

    def figures(self) -> dict[str, float]:
        """Return top-1 and top-5 accuracy, and the mean cross-entropy."""
        figures = {"top1": np.mean(self.ranks < 1), f"top{TOP}": np.mean(self.ranks < TOP)}
        return {name: float(value) for name, value in {**figures, "loss": np.mean(self.losses)}.items()}

    @cached_property
    def matrix(self) -> np.ndarray:
        """The confusion matrix: (classes, classes) int64, a row for each true class, a column for each predicted."""
        matrix = np.zeros((len(self.data.class_names),) * 2, "int64")
        np.add.at(matrix, (self.labels, self.predicted), 1)
        return matrix

    def worst(self, most: int = 12) -> list[int]:
        """Return the rows of the most confident mistakes, at most `most`."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")][:most].tolist()

    def to_json(self) -> dict:
        """Return everything but the images as JSON holds it, None where a value is undefined."""
        names, per_class = self.data.class_names, {}
        for k, name in enumerate(names):
            per_class[name] = {**precision_and_recall(self.matrix, k), "images": int(self.matrix[k].sum())}
        figures = {key: value if math.isfinite(value) else None for key, value in self.figures().items()}
        return {
            **figures,
            "images": len(self.labels),
            "per_class": per_class,
            "confusion": {"classes": list(names), "matrix": self.matrix.tolist()},
            "worst": [
                {
                    "image": image_name(self.data.examples[self.numbers[i]], self.numbers[i]),
                    "class": names[self.labels[i]],
                    "taken_for": names[self.predicted[i]],
                    "score": round(float(self.confidences[i]), 4),
                }
                for i in self.worst()
            ],
            "problems": self.problems,
        }


def classify(answers, data, batch_size=64, report=print):
    """Classify every image of a data set, whose classes the classifier must have; return `Classified`.

    An image that can't be read is reported and left out; a ValueError says that none can.
    """
    problems, rows = list(data.problems), []

    def note(line):
        problems.append(line)
        report(line)

    for images, one_hot, numbers in numbered_batches(data, answers.size, batch_size, report=note):
        scores, labels = np.asarray(answers.ask(np.asarray(images)), "float64"), np.argmax(one_hot, axis=-1)
        each = np.arange(len(labels))
        true = scores[each, labels][:, None]
        ranks = np.sum(~(scores < true), axis=-1) - 1  # a NaN counts as a score that is as high
        logs = _log_probabilities(scores, answers.kind)
        losses = -logs[each, labels]
        if answers.kind == SIGMOID:  # each score is an answer of its own
            others = np.log(np.clip(1 - scores, MIN_PROBABILITY, 1))
            losses = (losses - others.sum(axis=-1) + others[each, labels]) / scores.shape[-1]
        predicted = np.argmax(scores, axis=-1)
        rows.append((np.asarray(numbers), labels, ranks, predicted, np.exp(logs[each, predicted]), losses))
    if not rows:
        raise ValueError(f"none of the {len(data.examples)} images can be read")
    return Classified(data, *(np.concatenate(parts) for parts in zip(*rows, strict=True)), problems)


def _log_probabilities(scores, kind):
    if kind != LOGITS:
        return np.log(np.clip(scores, MIN_PROBABILITY, 1))
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
