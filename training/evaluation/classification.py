"""A classifier measured on labelled images: how often it is right, and which classes it takes for which."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...saving import gives_logits
from ..data.examples import ClassificationData
from ..pipeline.classification import numbered_batches
from .mistakes import image_name

TOP = 5
LEAST = 1e-7  # probability; what is smaller counts as this in the cross-entropy


class Answers(NamedTuple):
    """A classifier, ready to be asked.

    Attributes:
        ask: function of images (N, height, width, 3) in 0..1 to scores (N, classes).
        size: (height, width) of the images.
        logits: whether the scores are logits; otherwise probabilities.
        classes: their number.
        class_names: their names, or None.
    """

    ask: callable
    size: tuple[int, int]
    logits: bool
    classes: int
    class_names: tuple[str, ...] | None


def answers_of(model):
    """The `Answers` of a classifier: a Keras 3 model, or what `quantize_aware` makes of one."""

    def ask(images):
        return np.asarray(model.predict_on_batch(images))[: len(images)]  # each of several GPUs answers for all

    size, names = tuple(model.inputs[0].shape[1:3]), getattr(model, "class_names", None)
    return Answers(ask, size, gives_logits(model), model.outputs[0].shape[-1], names)


def load_answers(path):
    """The `Answers` of a classifier's .tflite file, as the device's script has them."""
    from ...tflite.device.classify import Classifier

    device = Classifier(path)

    def ask(images):
        return np.stack([device.scores(np.rint(image * 255).astype("uint8")) for image in images])

    how = device.settings["input"]
    return Answers(ask, (how["height"], how["width"]), False, len(device.labels), tuple(device.labels))


@dataclass(frozen=True)
class Classified:
    """What a classifier says of each image that could be read.

    Attributes:
        data: the data set.
        numbers: (N,) of the images among the data's examples.
        labels: (N,) their classes.
        places: (N,) how many other classes score as much as the true one, or more.
        taken: (N,) the classes of the best scores.
        surest: (N,) their probabilities.
        losses: (N,) cross-entropies.
        problems: a line for everything that was left out.
    """

    data: ClassificationData
    numbers: np.ndarray
    labels: np.ndarray
    places: np.ndarray
    taken: np.ndarray
    surest: np.ndarray
    losses: np.ndarray
    problems: list[str]

    def figures(self):
        """Top-1 and top-5 accuracy, and the mean cross-entropy."""
        figures = {"top1": np.mean(self.places < 1), f"top{TOP}": np.mean(self.places < TOP)}
        return {name: float(value) for name, value in {**figures, "loss": np.mean(self.losses)}.items()}

    @cached_property
    def matrix(self):
        """(classes, classes) int64, a row for each true class, a column for each that it is taken for."""
        matrix = np.zeros((len(self.data.class_names),) * 2, "int64")
        np.add.at(matrix, (self.labels, self.taken), 1)
        return matrix

    def worst(self, most=12):
        """Rows of the images that are surest taken for another class, at most `most`."""
        wrong = np.flatnonzero(self.taken != self.labels)
        return wrong[np.argsort(-self.surest[wrong], kind="stable")][:most].tolist()

    def name(self, row):
        """The file name of a row's image, or its number where it has none."""
        return image_name(self.data.examples, int(self.numbers[row]))

    def to_json(self):
        """Everything but the images, as JSON has it: None where a value does not exist."""
        names, per_class = self.data.class_names, {}
        for k, name in enumerate(names):
            right, images, claimed = (int(n) for n in (self.matrix[k, k], *(self.matrix.sum(a)[k] for a in (1, 0))))
            precision, recall = (right / n if n else None for n in (claimed, images))
            per_class[name] = {"precision": precision, "recall": recall, "images": images}
        figures = {key: value if math.isfinite(value) else None for key, value in self.figures().items()}
        return {
            **figures,
            "images": len(self.labels),
            "per_class": per_class,
            "confusion": {"classes": list(names), "matrix": self.matrix.tolist()},
            "worst": [
                {
                    "image": self.name(i),
                    "class": names[self.labels[i]],
                    "taken_for": names[self.taken[i]],
                    "score": round(float(self.surest[i]), 4),
                }
                for i in self.worst()
            ],
            "problems": self.problems,
        }


def classify(answers, data, batch_size=64, report=print):
    """Ask a classifier about every image of a data set.

    Args:
        answers: `Answers`.
        data: `ClassificationData`, its classes those of the classifier.
        batch_size: images a call.
        report: called with a line for each image that can't be read; it is left out.

    Returns:
        `Classified`.

    Raises:
        ValueError: where no image can be read.
    """
    problems, rows = list(data.problems), []

    def note(line):
        problems.append(line)
        report(line)

    for images, wanted, numbers in numbered_batches(data, answers.size, batch_size, report=note):
        scores, labels = np.asarray(answers.ask(np.asarray(images)), "float64"), np.argmax(wanted, axis=-1)
        each = np.arange(len(labels))
        right = scores[each, labels][:, None]
        places = np.sum(~(scores < right), axis=-1) - 1  # others that score as much or, being NaN, may
        sure = _log_probabilities(scores, answers.logits)
        taken = np.argmax(scores, axis=-1)
        rows.append((np.asarray(numbers), labels, places, taken, np.exp(sure[each, taken]), -sure[each, labels]))
    if not rows:
        raise ValueError(f"none of the {len(data.examples)} images can be read")
    return Classified(data, *(np.concatenate(parts) for parts in zip(*rows, strict=True)), problems)


def _log_probabilities(scores, logits):
    if not logits:
        return np.log(np.clip(scores, LEAST, 1))
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
