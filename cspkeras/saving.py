"""Networks in .keras files; a classifier's file may carry the names of its classes."""

import os
import zipfile
from collections.abc import Callable, Iterable

import keras

from .detection.detector import Detector
from .graph import activation_name
from .precision import rebuilt
from .registry import get_detector
from .weights.bundled import BUNDLED

LABELS = "labels.txt"  # in the file's archive, a class a line; Keras ignores it
StrPath = os.PathLike[str] | str


def load_detector(path: StrPath) -> Detector:
    """Load a `Detector` from a .keras file, or by name one whose weights come with this package, such as "bccd".

    Args:
        path: the file, or the name.

    Returns:
        The detector, not compiled.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it can't be loaded or holds another model.

    Example:
        >>> from cspkeras.saving import load_detector
        >>> load_detector("bccd").class_names
        ('Platelets', 'RBC', 'WBC')
    """
    model = load_model(path, "a detector")
    if not isinstance(model, Detector):
        raise ValueError(f"{path}: holds {_called(model)}, expected a cspkeras Detector")
    return model


def load_network(path: StrPath) -> keras.Model:
    """Load a `Detector` as `load_detector` does, or a classifier.

    Args:
        path: the file, or the name of bundled weights.

    Returns:
        The model; a classifier's `class_names` are those of its file, None if it has none.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it can't be loaded, holds another model, or not as many names as classes.
    """
    model = load_model(path, "a detector or a classifier")
    if isinstance(model, Detector):
        return model
    if not is_classifier(model):
        raise ValueError(
            f"{path}: holds {_called(model)}, expected a cspkeras Detector or a classifier, of images "
            "(N, height, width, 3) to (N, classes)"
        )
    with zipfile.ZipFile(path) as archive:
        found = archive.read(LABELS).decode().splitlines() if LABELS in archive.namelist() else None
    if found is not None and len(found) != model.output_shape[-1]:
        raise ValueError(f"{path}: has {len(found)} names for {model.output_shape[-1]} classes")
    model.class_names = found and tuple(found)
    return model


def load_model(path: StrPath, expected: str) -> keras.Model:
    """Load any model from a .keras file, or a bundled detector by its name.

    Args:
        path: the file, or the name of bundled weights.
        expected: what the file should hold, for errors.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it can't be loaded.
    """
    if not os.path.isfile(path):
        if (bundled := BUNDLED.get(str(path))) is None:
            raise FileNotFoundError(f"{path}: missing; expected a .keras file with {expected}")
        return get_detector(bundled.detector, weights=str(path))
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as e:  # Keras raises whatever its zip and HDF5 readers raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: not a .keras file that can be loaded ({reason})") from e


def exporter(model: keras.Model, labels: Iterable[str] | None = None) -> Callable[[StrPath], None]:
    """Return a function of a path that writes a model without its optimizer, which would triple the file.

    A model in mixed precision is written as one in float32; those who use the file choose their own precision. Each
    call writes the weights of that moment, and `labels`, the names of a classifier's classes.
    """
    bare = rebuilt(model)

    def export(path):
        bare.set_weights(model.get_weights())
        bare.save(path)
        if labels:
            write_labels(path, labels)

    return export


def write_labels(path: StrPath, class_names: Iterable[str]) -> None:
    """Add the names of the classes to a classifier's .keras file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "".join(f"{name}\n" for name in class_names))


def is_classifier(model: keras.Model) -> bool:
    """Return whether a model takes images of one size, (N, height, width, 3), and gives one output (N, classes)."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return False
    taken, given = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    return len(taken) == 4 and taken[3] == 3 and None not in taken[1:] and len(given) == 2 and given[1] is not None


def gives_logits(model) -> bool:
    """Return whether a classifier, or what `quantize_aware` made of one, gives logits and not probabilities."""
    last = model
    while hasattr(last, "layers"):
        last = last.layers[-1]
    for wrapped in ("layer", "operation"):  # tfmot's wrapper, and the twin of a Keras 3 layer
        last = getattr(last, wrapped, last)
    return activation_name(last) != "softmax"


def _called(model):
    return f"a {type(model).__name__} called {model.name!r}"
