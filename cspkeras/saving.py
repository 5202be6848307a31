"""Networks in .keras files; a classifier's file may carry the names of its classes."""

import os
import zipfile

import keras

from .detection.detector import Detector
from .graph import activation_name
from .precision import rebuilt
from .registry import get_detector
from .weights.bundled import BUNDLED

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
            "classifier, of images (N, height, width, 3) to (N, classes)"
        )
    with zipfile.ZipFile(path) as archive:
        found = archive.read(LABELS).decode().splitlines() if LABELS in archive.namelist() else None
    if found is not None and len(found) != model.output_shape[-1]:
        raise ValueError(f"{path}: has {len(found)} names for {model.output_shape[-1]} classes")
    model.class_names = found and tuple(found)
    return model


def is_classifier(model):
    """Whether a model is of images of one size, (N, height, width, 3), to one output (N, classes)."""
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


def load_detector(path):
    """Load a `Detector` from a .keras file, or one whose weights come with this package by their name, such as "bccd".

    Raises:
        FileNotFoundError: where the file is missing.
        ValueError: where it can't be loaded or holds another model.
    """
    model = load_model(path, "a detector")
    if not isinstance(model, Detector):
        raise ValueError(f"{path}: holds a {type(model).__name__} called {model.name!r}, expected a cspkeras Detector")
    return model


def load_model(path, wanted):
    """Load whatever a .keras file holds, or a bundled detector; arguments and errors as `load_detector`'s.

    `wanted` says what is expected there.
    """
    if not os.path.isfile(path):
        if (bundled := BUNDLED.get(str(path))) is None:
            raise FileNotFoundError(f"{path}: missing; expected a .keras file with {wanted}")
        return get_detector(bundled.detector, weights=str(path))
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as e:  # Keras raises what the zip and HDF5 readers below it happen to raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: not a .keras file that can be loaded ({reason})") from e


def exporter(model, labels=None):
    """A function of a path that writes a Keras 3 model without its optimizer, which would make it three times as large.

    The file carries a classifier's `labels`, its classes' names. Of a model in mixed precision it computes in 32 bits:
    what is done with it later decides its own precision.
    """
    bare = rebuilt(model)

    def export(path):
        bare.set_weights(model.get_weights())
        bare.save(path)
        if labels:
            write_labels(path, labels)

    return export
