"""The whole state of a training run in one file, alike for Keras 3 and tf-keras models."""

import json
import shutil
import zipfile

import numpy as np

from ...files import replacing

LAST, BEST = "last.npz", "best.npz"  # names of a run's states


def save_state(path, model, meta, *, optimizer=True, **groups):
    """Write a compiled model's weights, seeds and optimizer, and what else belongs to the state.

    Args:
        path: the file.
        model: the model.
        meta: a dict that JSON can hold.
        optimizer: whether the optimizer is wanted too.
        **groups: other lists of arrays by name.

    Raises:
        OSError: where the folder can't be written, or the disk has no room for the file.
    """
    groups |= {"weight": model.weights, "seed": _seeds(model)}
    if optimizer:
        groups["optimizer"] = model.optimizer.variables
    arrays = {f"{name}{i}": np.asarray(v) for name, values in groups.items() for i, v in enumerate(values)}
    with replacing(path) as aside, open(aside, "wb") as file:
        needed, free = sum(a.nbytes for a in arrays.values()), shutil.disk_usage(aside.parent).free
        if needed > free:
            raise OSError(f"{path}: can't be written, it needs {needed / 1e6:.1f} MB and {free / 1e6:.1f} are free")
        np.savez(file, meta=json.dumps(meta), **arrays)


def load_state(path, model, *, optimizer=True, groups=()):
    """Read what `save_state` wrote into a compiled model.

    Args:
        path: the file.
        model: a model of the same structure, its optimizer built.
        optimizer: whether the optimizer's variables and the seeds are wanted too.
        groups: names of the other lists that are wanted.

    Returns:
        `meta`, and with it each of `groups`, empty where the file has none.

    Raises:
        ValueError: for a file of another kind or of another model.
    """
    meta, arrays = _read(path)
    _assign(path, "weight", model.weights, arrays)
    if optimizer:
        _assign(path, "seed", _seeds(model), arrays)
        _assign(path, "optimizer", model.optimizer.variables, arrays)
    return meta | {name: _group(name, arrays) for name in groups}


def read_meta(path):
    """The `meta` of a state.

    Raises:
        ValueError: for a file of another kind.
    """
    return _read(path)[0]


def _read(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return json.loads(str(file["meta"])), dict(file)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as e:
        raise ValueError(f"{path}: not a training state ({e})") from e


def _seeds(model):
    """The states of the random generators inside a Keras 3 model, such as dropout's; tf-keras' networks have none."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _group(name, arrays):
    names = [f"{name}{i}" for i in range(sum(one.startswith(name) for one in arrays))]
    return [arrays[one] for one in names if one in arrays]


def _assign(path, kind, variables, arrays):
    stored = _group(kind, arrays)
    if [a.shape for a in stored] != [tuple(v.shape) for v in variables]:
        raise ValueError(f"{path}: holds another model's {kind} arrays ({len(stored)} against {len(variables)})")
    for variable, value in zip(variables, stored, strict=True):
        variable.assign(value)
