"""A classifier with known answers, and images that it recognizes by their grey."""

import numpy as np

from cspkeras.training import ClassificationData, LabelledImage
from cspkeras.training.evaluation.classification import Answers

EVIL = "<script>'\"&"


SIDE = 32


def data_of(labels, classes=6):
    """An image a label, its grey telling its number among them."""
    examples = [LabelledImage(np.full((SIDE, SIDE, 3), i, "uint8"), label) for i, label in enumerate(labels)]
    return ClassificationData(examples, tuple(f"{EVIL}{k}" for k in range(classes)))


def answering(scores, kind="softmax"):
    """`Answers` that give an image the row of `scores` of its number."""
    scores = np.asarray(scores, "float32")
    ask = lambda images: scores[np.rint(images[:, 0, 0, 0] * 255).astype(int)]  # noqa: E731
    return Answers(ask, (SIDE, SIDE), kind, scores.shape[1], None)


SCORES = np.array(  # of the classes 0 to 5
    [
        [0.5, 0.1, 0.1, 0.1, 0.1, 0.1],  # right
        [0.6, 0.2, 0.05, 0.05, 0.05, 0.05],  # the second
        [0.5, 0.2, 0.15, 0.1, 0.04, 0.01],  # the last of six
        [0.3, 0.3, 0.1, 0.1, 0.1, 0.1],  # as good as another: not right
    ]
)


LABELS = [0, 1, 5, 1]
