"""Classifiers in .keras files, which may carry their classes' names, and what such a file may hold besides."""

import zipfile

from ..detection.detector import Detector, load_model
from .graph import activation_name

LABELS = "labels.txt"  # in the file's archive, a class a line; Keras passes over it


def write_labels(path, class_names):
    """Add the classes' names to a classifier's .keras file, a name a class."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "".join(f"{name}\n" for name in class_names))


def load_network(path):
    """Load a `Detector` as `load_detector` does, or a classifier.

    Returns:
        The model; a classifier's `class_names` are those of its file, None where that has none.

    Raises:
        FileNotFoundError: where the file is missing.
        ValueError: where it can't be loaded, holds another model, or more or fewer names than classes.
    """
    model = load_model(path, "a detector or a classifier")
    if isinstance(model, Detector):
        return model
    if not is_classifier(model):
        raise ValueError(
            f"{path}: holds a {type(model).__name__} called {model.name!r}, expected a cspkeras Detector or a "
            "classifier, of pictures (N, height, width, 3) to (N, classes)"
        )
    with zipfile.ZipFile(path) as archive:
        found = archive.read(LABELS).decode().splitlines() if LABELS in archive.namelist() else None
    if found is not None and len(found) != model.output_shape[-1]:
        raise ValueError(f"{path}: has {len(found)} names for {model.output_shape[-1]} classes")
    model.class_names = found and tuple(found)
    return model


def is_classifier(model):
    """Whether a model is of pictures of one size, (N, height, width, 3), to one output (N, classes)."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return False
    taken, given = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    return len(taken) == 4 and taken[3] == 3 and None not in taken[1:] and len(given) == 2 and given[1] is not None


def gives_logits(model):
    """Whether a classifier, or what `quantize_aware` made of one, gives logits and not a softmax's probabilities."""
    last = model
    while hasattr(last, "layers"):
        last = last.layers[-1]
    for wrapped in ("layer", "operation"):  # tfmot's wrapper, and the twin of a Keras 3 layer
        last = getattr(last, wrapped, last)
    return activation_name(last) != "softmax"
