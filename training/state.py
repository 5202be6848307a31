"""The whole state of a training run in one file, alike for Keras 3 and tf-keras models."""

import json
import zipfile

import numpy as np

from ..files import replacing

LAST, BEST = "last.npz", "best.npz"  # names of a run's states


def save_state(path, model, meta):
    """Write a compiled model's weights and optimizer, and `meta`, a dict that JSON can hold."""
    arrays = {f"weight{i}": np.asarray(v) for i, v in enumerate(model.weights)}
    arrays |= {f"optimizer{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    with replacing(path) as aside, open(aside, "wb") as file:
        np.savez(file, meta=json.dumps(meta), **arrays)


def load_state(path, model, *, optimizer=True):
    """Read what `save_state` wrote into a compiled model and return `meta`.

    Args:
        path: the file.
        model: a model of the same structure, its optimizer built.
        optimizer: whether the optimizer's variables are wanted too.

    Raises:
        ValueError: for a file of another kind or of another model.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            meta, arrays = json.loads(str(file["meta"])), dict(file)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as e:
        raise ValueError(f"{path}: not a training state ({e})") from e
    _assign(path, "weight", model.weights, arrays)
    if optimizer:
        _assign(path, "optimizer", model.optimizer.variables, arrays)
    return meta


def _assign(path, kind, variables, arrays):
    names = [f"{kind}{i}" for i in range(sum(name.startswith(kind) for name in arrays))]
    stored = [arrays[name] for name in names if name in arrays]
    if [a.shape for a in stored] != [tuple(v.shape) for v in variables]:
        raise ValueError(f"{path}: holds another model's {kind} arrays ({len(stored)} against {len(variables)})")
    for variable, value in zip(variables, stored, strict=True):
        variable.assign(value)
