"""Networks in .keras files; a classifier's may carry its classes' names, its layout and where its weights are from."""

import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict

import keras

from .backbones.assembly import Preparation
from .detection.training import DetectorTraining
from .graph import deep, functional_graph
from .limits import NAME, TEXT
from .precision import rebuilt
from .registry import get_detector, network
from .weights.archives import check_archive
from .weights.keras_file import bounded
from .weights.published.rows import PUBLISHED

LABELS, ABOUT = "labels.txt", "about.json"  # in the file's archive, the former a class a line; Keras ignores both
KEPT = "layout", "preparation", "origin"  # what a classifier has beside its layers and `class_names`, see `keep`
ELSEWHERE = "keras.saving.load_model it in Python{}, and call cspkeras.tflite.convert there"
StrPath = os.PathLike[str] | str


def load_detector(path: StrPath) -> DetectorTraining:
    """Load a `Detector` from a .keras file, or by name one whose weights come with this package, such as "bccd".

    Args:
        path: the file, or the name.

    Returns:
        The detector, not compiled: a `Detector`, or what `quantize_aware` made of one.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it can't be loaded or holds another model.

    Example:
        >>> from cspkeras.saving import load_detector
        >>> load_detector("bccd").class_names
        ('Platelets', 'RBC', 'WBC')
    """
    model = load_model(path, "a detector")
    if not isinstance(model, DetectorTraining):
        raise ValueError(f"{path}: holds {_called(model)}, expected a cspkeras Detector")
    return model


def load_network(path: StrPath, weights: StrPath | None = None) -> keras.Model:
    """Load a `Detector` as `load_detector` does, or a classifier.

    Args:
        path: the file, or the name of bundled weights; with `weights` a network's.
        weights: as in `load_model`.

    Returns:
        The model; a classifier's `class_names` are those of its file, None if it has none.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it can't be loaded, holds another model, or not as many names as classes.
    """
    model = load_model(path, "a detector or a classifier", weights)
    if not isinstance(model, DetectorTraining) and not is_classifier(model):
        raise ValueError(
            f"{path}: holds {_called(model)}, expected a cspkeras Detector or a classifier, of images "
            "(N, height, width, 3) to (N, classes)"
        )
    return model


def load_model(
    path: StrPath, expected: str, weights: StrPath | None = None, size: tuple[int, int] | None = None
) -> keras.Model:
    """Load any model from a .keras or .h5 file, or a bundled detector by its name, or build a network by its name.

    Args:
        path: the file, or the name of bundled weights; with `weights` a network's.
        expected: what the file should hold, for errors.
        weights: of the network that `path` names: published ones by their name, or a file. None: `path` is a file.
        size: (height, width) in pixels of that network's input; None for the published one.

    Returns:
        The model, not compiled; a classifier's `class_names`, `layout`, `preparation` and `origin` are those of its
        file, None if it has none.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it can't be loaded, was never built, or has not as many names as classes.
    """
    if weights is not None:
        how = {} if size is None else {"input_shape": (*size, 3)}
        model = network(str(path), argument="--model").build(weights=str(weights), **how)
        if not isinstance(model, DetectorTraining):
            model.class_names = None
        return model
    if not os.path.isfile(path):
        if os.path.isfile(os.path.join(path, "saved_model.pb")):
            raise ValueError(
                f"{path}: a SavedModel, which has no Keras layers; give what model.save(...) writes of the Keras model "
                "that it comes from, a .keras file"
            )
        for name, files in PUBLISHED.items():
            if str(path) in files and files[str(path)].bundled:
                return get_detector(name, weights=str(path))
        raise FileNotFoundError(f"{path}: missing; expected a .keras file with {expected}{_hint(path)}")
    with open(path, "rb"):  # or Keras says in many words that it may not
        pass
    try:
        with bounded(path), deep():
            model = keras.saving.load_model(path, compile=False)
    except Exception as e:  # Keras raises whatever its zip and HDF5 readers raise
        if str(e).startswith(f"{path}: "):
            raise
        raise ValueError(f"{path}: {_reason(str(e) or type(e).__name__)}") from e
    if not model.built or (isinstance(model, keras.Sequential) and functional_graph(model) is None):
        raise ValueError(
            f"{path}: holds {_called(model)} that was never built, so it has no weights; begin it with "
            "keras.Input((height, width, channels)), train it and save it again"
        )
    if not isinstance(model, DetectorTraining):
        model.class_names = _class_names(path, model)
        read_about(path, model)
    return model


def _hint(path):
    """Return what else a missing file's name may be meant for."""
    names = " or ".join(PUBLISHED.get(str(path), ()))
    return f", or --weights {names} beside this network's name" if names else ""


def _reason(message):
    """Return why Keras does not load a file, and what helps."""
    if "`Lambda` layer" in message:
        there = ELSEWHERE.format(" with safe_mode=False, if you trust the file")
        return f"has a Lambda layer, a piece of Python code, which Keras does not run from a file; {there}"
    if found := re.search(r"Could not locate (?:class|function) '([^']+)'", message):
        return f"does not hold the code of {found[1]!r}; {ELSEWHERE.format(f' where {found[1]!r} is imported')}"
    if message.startswith("File not found"):  # Keras' words for a file of another format
        message = "it is neither a zip archive of Keras' nor called .h5"
    return f"not a .keras file that can be loaded ({message.splitlines()[0]})"


def _class_names(path, model):
    """Return the names of a classifier's classes that its file carries, or None."""
    if not (text := _member(path, LABELS)):
        return None
    found = text.splitlines()
    NAME.check(max(map(len, found)), f"{path}: {LABELS}")
    outputs = model.outputs[0].shape[-1]
    if len(found) != outputs and (len(found), outputs) != (2, 1):  # one score is that of the second of two classes
        raise ValueError(f"{path}: has {len(found)} names for {outputs} classes")
    return tuple(found)


def exporter(model: keras.Model, labels: Iterable[str] | None = None) -> Callable[[StrPath], None]:
    """Return a function of a path that writes a model without its optimizer, which would triple the file.

    A model in mixed precision is written as one in float32; those who use the file choose their own precision. Each
    call writes the weights of that moment, `labels`, the names of a classifier's classes, and what the model keeps.
    """
    bare = rebuilt(model)

    def export(path):
        bare.set_weights(model.get_weights())
        bare.save(path)
        if labels:
            write_labels(path, labels)
        write_about(path, model)

    return export


def keep(made: keras.Model, model: keras.Model) -> keras.Model:
    """Return a model that was made from another one, with what that has beside its layers.

    These are the names of a classifier's classes, `class_names`, the `layout` or the `preparation` that its pixels are
    prepared for, and the `origin` of its weights, with their licence.
    """
    for name in ("class_names", *KEPT):
        if (value := getattr(model, name, None)) is not None:
            setattr(made, name, value)
    return made


def write_about(path: StrPath, model: keras.Model) -> None:
    """Add what a classifier keeps beside its layers to its .keras file; a `Detector` has its own place."""
    found = {name: getattr(model, name, None) for name in KEPT}
    if not isinstance(model, DetectorTraining) and any(found.values()):
        found["origin"] = found["origin"] and dict(found["origin"])
        found["preparation"] = found["preparation"] and asdict(found["preparation"])
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(ABOUT, json.dumps(found))


def read_about(path: StrPath, model: keras.Model) -> None:
    """Give a model what `write_about` put into its file; None where there is nothing."""
    try:
        found = json.loads(_member(path, ABOUT) or "{}")
        layout, preparation, origin = (found.get(name) for name in KEPT)
        if not isinstance(layout, str | None) or not isinstance(origin, dict | None):
            raise TypeError(f"expected a text and a table, found {found!r}"[:200])
        if preparation:
            lists = {name: tuple(preparation[name]) for name in ("mean", "deviation")}
            found["preparation"] = Preparation(**preparation | lists)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as e:
        raise ValueError(f"{path}: its {ABOUT} is damaged ({e})") from e
    for name in KEPT:
        setattr(model, name, found.get(name))


def _member(path, name):
    """Return the text of a member of a .keras file, None where there is none."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            return None
        check_archive(path, archive)
        TEXT.check(archive.getinfo(name).file_size, f"{path}: {name}")
        try:
            return archive.read(name).decode()
        except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as e:
            raise ValueError(f"{path}: its {name} is damaged ({e})") from e


def write_labels(path: StrPath, class_names: Iterable[str]) -> None:
    """Add the names of the classes to a classifier's .keras file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "".join(f"{name}\n" for name in class_names))


def is_classifier(model: keras.Model) -> bool:
    """Return whether a model takes images of one size, in colours or grey, and gives one output (N, classes)."""
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs or len(inputs) != 1 or len(outputs) != 1:
        return False
    taken, given = tuple(inputs[0].shape), tuple(outputs[0].shape)
    return len(taken) == 4 and taken[3] in (1, 3) and None not in taken[1:] and len(given) == 2 and given[1] is not None


def _called(model):
    return f"a {type(model).__name__} called {model.name!r}"
