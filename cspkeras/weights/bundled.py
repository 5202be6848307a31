"""Weights that come with this package: of each training a .npz file of half-precision arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import replacing


@dataclass(frozen=True)
class Bundled:
    """What was trained, and on what.

    Attributes:
        detector: the constructor's name.
        classes: the names of the classes.
        size: side of the input in pixels.
        source: the data, and the weights that the training began with.
    """

    detector: str
    classes: tuple[str, ...]
    size: int
    source: str


BUNDLED = {
    "bccd": Bundled(
        "YOLOXNano",
        ("Platelets", "RBC", "WBC"),
        320,
        "github.com/Shenggan/BCCD_Dataset (MIT), from Megvii's yolox_nano.onnx (Apache-2.0)",
    ),
}


def save_halves(model, path):
    """Write a model's weights in half precision, an array each, by the variables' paths."""
    with replacing(Path(path)) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, **{v.path: np.asarray(v).astype("float16") for v in model.variables})


def load_bundled(model, name, skip_mismatch=False):
    """Give a model the weights of `BUNDLED[name]`.

    Args:
        model: the detector that was trained, of any input size.
        name: one of `BUNDLED`.
        skip_mismatch: whether class predictions of another number of classes are left as they are.

    Raises:
        ValueError: where the model is another.
    """
    with np.load(Path(__file__).with_name(f"{name}.npz"), allow_pickle=False) as file:
        arrays = dict(file)
    variables = {variable.path: variable for variable in model.variables}
    if arrays.keys() != variables.keys():
        raise ValueError(f"weights={name!r} are of {BUNDLED[name].detector}. Received: {model.name}")
    different = {path for path, array in arrays.items() if array.shape != tuple(variables[path].shape)}
    if different and not (skip_mismatch and all("_classes/" in path for path in different)):
        classes = ", ".join(BUNDLED[name].classes)
        raise ValueError(
            f"weights={name!r} are of {BUNDLED[name].detector} with the classes {classes}. Received: "
            f"{len(model.class_names)} classes; skip_mismatch=True leaves the class predictions as initialized"
        )
    for path in arrays.keys() - different:
        variables[path].assign(arrays[path])
