"""The whole state of a training run in one file."""

import json
import shutil

import numpy as np

from ...files import replacing
from ...limits import TEXT
from ...weights.archives import open_npz

LAST, BEST = "last.npz", "best.npz"  # a run's states
RUN_KEYS = {"step": int, "steps": int, "rows": list, "run": dict}  # of the last state's meta


def save_state(path, model, meta, *, optimizer=True, **groups):
    """Write a compiled model's weights, and what else belongs to the state.

    `meta` is a dict that JSON can hold; `optimizer` says whether the optimizer's variables are written; the groups are
    other lists of arrays, by name. OSError: the folder can't be written, or the disk has no room for the file.
    """
    groups |= {"seed": _seeds(model), **dict(_parts(model, optimizer))}
    arrays = {f"{name}{i}": np.asarray(v) for name, values in groups.items() for i, v in enumerate(values)}
    with replacing(path) as aside, open(aside, "wb") as file:
        needed, free = sum(a.nbytes for a in arrays.values()), shutil.disk_usage(aside.parent).free
        if needed > free:
            raise OSError(f"{path}: can't be written, it needs {needed / 1e6:.1f} MB and {free / 1e6:.1f} are free")
        np.savez(file, meta=json.dumps(meta), **arrays)


def load_state(path, model, *, optimizer=True, groups=None):
    """Load what `save_state` wrote into a compiled model.

    Args:
        path: the file.
        model: a model of the same structure, its optimizer built.
        optimizer: whether to load the optimizer's variables and the seeds too.
        groups: the other lists to load: for each name the variables whose shapes they must have, or None for any.

    Returns:
        `meta` and each of `groups`, an empty list where the file has no such arrays.

    Raises:
        ValueError: for a file of another kind or of another model. The model is then as it was.
    """
    (meta, arrays), parts = _read(path), []
    others = {name: _group(name, arrays) for name in groups or {}}
    for name, variables in _parts(model, optimizer):
        parts.append((path, name, _group(name, arrays), variables))
        _check(*parts[-1])
    for name, stored in others.items():
        if stored and groups[name] is not None:
            _check(path, name, stored, groups[name])
    for part in parts:
        assign(*part)
    return meta | others


def read_meta(path):
    """Read the `meta` of a state; raise a ValueError for a file of another kind."""
    return _read(path, arrays=False)[0]


def read_run(path):
    """Read the `meta` of a run's last state; raise a ValueError where the run can't be resumed from it."""
    meta, names = _read(path, arrays=False)
    if reason := _unusable(meta, names):
        source = "it is damaged or of another version of cspkeras"
        anew = "train anew with --overwrite, or in another folder"
        raise ValueError(f"{path}: can't be resumed, {reason}; {source}, {anew}")
    return meta


def assign(path, kind, values, variables):
    """Assign a state's arrays to variables; raise a ValueError with `path` and `kind` where they don't fit."""
    _check(path, kind, values, variables)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _unusable(meta, names):
    """Return why a run can't be resumed from a state, or None."""
    wrong = [key for key, kind in RUN_KEYS.items() if not isinstance(meta.get(key), kind)]
    if not wrong:
        wrong = [f"run.{key}" for key in ("recipe", "model") if not isinstance(meta["run"].get(key), dict)]
    if "average0" in names and not isinstance(meta.get("averaged"), int):
        wrong.append("averaged")
    if wrong:
        return f"it lacks a valid {', '.join(wrong)}"
    step, steps, rows = meta["step"], meta["steps"], meta["rows"]
    if steps < 1 or step // steps != len(rows) or not 0 <= meta.get("averaged", 0) <= step:
        return f"its step {step} does not fit {len(rows)} epochs of {steps} steps"
    numbered = all(isinstance(row, dict) and row.get("epoch") == epoch for epoch, row in enumerate(rows, 1))
    if not numbered or not all(isinstance(value, int | float) for row in rows for value in row.values()):
        return "its rows are not one of numbers for each epoch"
    if step % steps and "metric0" not in names:
        return f"it lacks the metrics of epoch {len(rows) + 1}, which has begun"
    return None


def _read(path, arrays=True):
    """Return a state's `meta`, and its arrays by name or their names alone."""
    try:
        with open_npz(path) as file:
            text = str(file["meta"])
            TEXT.check(len(text), "its meta")
            meta = json.loads(text)
            if not isinstance(meta, dict):
                raise ValueError(f"its meta is a {type(meta).__name__}")
            return meta, dict(file) if arrays else file.files
    except ValueError as e:
        raise ValueError(f"{path}: not a training state ({str(e).removeprefix(f'{path}: ')})") from e


def _parts(model, optimizer):
    """Yield the name and the variables of each part of a model's state that is loaded."""
    yield "weight", model.weights
    if optimizer:
        yield "seed", _seeds(model)
        yield "optimizer", model.optimizer.variables


def _seeds(model):
    """Return the states of a model's random generators, such as dropout's."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _group(name, arrays):
    names = [f"{name}{i}" for i in range(sum(one.startswith(name) for one in arrays))]
    return [arrays[one] for one in names if one in arrays]


def _check(path, kind, stored, variables):
    if [a.shape for a in stored] != [tuple(v.shape) for v in variables]:
        arrays = "optimizer's arrays" if kind == "optimizer" else f"model's {kind} arrays"
        raise ValueError(f"{path}: holds another {arrays} ({len(stored)} against {len(variables)})")
