"""Weights that come with this package: a .npz file of half-precision arrays for each training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Bundled:
    """What was trained, and on what."""

    detector: str  # the constructor's name
    classes: tuple[str, ...]  # the names of the classes
    size: int  # side of the input in pixels
    source: str  # the data, and the weights that the training started from


BUNDLED = {
    "bccd": Bundled(
        "YOLOXNano",
        ("Platelets", "RBC", "WBC"),
        320,
        "github.com/Shenggan/BCCD_Dataset (MIT), from Megvii's yolox_nano.onnx (Apache-2.0)",
    ),
}


def load_bundled(model, name, skip_mismatch=False):
    """Load the weights of `BUNDLED[name]` into the detector that they are of, of any input size.

    With `skip_mismatch` the detector may have another number of classes; its class predictions stay as they are.
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
