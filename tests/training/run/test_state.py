"""A run's state in one file."""

import json
from operator import attrgetter

import numpy as np
import pytest

from cspkeras.training.run.state import load_state, read_run, save_state


def save_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def cut(path):
    np.savez(path, meta="{}", weight0=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:500])


NO_STATES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("nothing of the kind"),
    "one array": save_npy,
    "broken off": cut,
    "without meta": lambda path: np.savez(path, weight0=np.zeros(3)),
    "meta that is a list": lambda path: np.savez(path, meta="[]", weight0=np.zeros(3)),
    "meta that is not JSON": lambda path: np.savez(path, meta="{", weight0=np.zeros(3)),
    "a pickle": lambda path: np.savez(path, meta=np.array([{}], dtype=object)),
}


@pytest.mark.integration
@pytest.mark.parametrize("case", NO_STATES)
def test_what_is_no_state_is_refused(case, detector, tmp_path):
    path = tmp_path / "last.npz"
    NO_STATES[case](path)
    with pytest.raises(ValueError, match=f"^{path}: not a training state "):
        load_state(path, detector)


def test_arrays_of_other_names_are_no_weights(detector, tmp_path):
    np.savez(tmp_path / "last.npz", meta="{}", weights=np.zeros(3))
    with pytest.raises(ValueError, match="last.npz: holds another model's weight arrays"):
        load_state(tmp_path / "last.npz", detector)


@pytest.mark.integration
def test_a_state_holds_weights_optimizer_and_meta(make_detector, tmp_path):
    meta = {"epoch": 3, "rows": [{"loss": float("nan")}]}
    model, other = make_detector(), make_detector()
    for one in (model, other):
        one.compile()
        one.optimizer.build(one.trainable_variables)
    rng = np.random.default_rng(0)
    for variable in model.optimizer.variables[2:]:
        variable.assign(rng.random(variable.shape))
    model.optimizer.iterations.assign(17)
    save_state(tmp_path / "last.npz", model, meta)
    assert str(load_state(tmp_path / "last.npz", other)) == str(meta)
    for part in (attrgetter("weights"), attrgetter("optimizer.variables")):
        for a, b in zip(part(model), part(other), strict=True):
            np.testing.assert_array_equal(a, b)


def array_less(name):
    def change(meta, arrays):
        del arrays[name]

    return change


def meta_with(**changes):
    def change(meta, arrays):
        meta.update(changes)

    return change


def meta_less(*path):
    def change(meta, arrays):
        *outer, last = path
        for key in outer:
            meta = meta[key]
        del meta[last]

    return change


ROW = {"epoch": 1, "loss": 2.0}
UNUSABLE = {  # a change of a whole state after step 6, in the second epoch of 4 steps: what is said of it
    "no step": (meta_less("step"), "it lacks a valid step"),
    "no steps": (meta_less("steps"), "it lacks a valid steps"),
    "no run": (meta_less("run"), "it lacks a valid run"),
    "no rows and a step of text": (meta_with(rows=None, step="6"), "it lacks a valid step, rows"),
    "no recipe": (meta_less("run", "recipe"), "it lacks a valid run.recipe"),
    "no model": (meta_less("run", "model"), "it lacks a valid run.model"),
    "an average of no step": (meta_less("averaged"), "it lacks a valid averaged"),
    "an average of a later step": (meta_with(averaged=7), "its step 6 does not fit 1 epochs of 4 steps"),
    "a negative step": (meta_with(step=-2), "its step -2 does not fit 1 epochs of 4 steps"),
    "an absurd step": (meta_with(step=10**12), "its step 1000000000000 does not fit 1 epochs of 4 steps"),
    "no steps in an epoch": (meta_with(steps=0), "its step 6 does not fit 1 epochs of 0 steps"),
    "a row of text": (meta_with(rows=["1,2.0"]), "its rows are not one of numbers for each epoch"),
    "a row of another epoch": (meta_with(rows=[ROW | {"epoch": 3}]), "its rows are not one of numbers"),
    "a loss of text": (meta_with(rows=[ROW | {"loss": "2"}]), "its rows are not one of numbers for each epoch"),
    "no metrics": (array_less("metric0"), "it lacks the metrics of epoch 2, which has begun"),
}


def write(path, change=lambda meta, arrays: None):
    meta = {"step": 6, "steps": 4, "rows": [ROW], "run": {"recipe": {}, "model": {}}, "averaged": 6}
    arrays = {"weight0": np.zeros(3), "metric0": np.zeros(()), "average0": np.zeros(3)}
    change(meta, arrays)
    np.savez(path, meta=json.dumps(meta), **arrays)
    return meta


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_state_of_another_version_is_not_resumed(case, tmp_path):
    change, reason = UNUSABLE[case]
    path = tmp_path / "last.npz"
    write(path, change)
    with pytest.raises(ValueError) as e:
        read_run(path)
    line = str(e.value)
    assert line.startswith(f"{path}: can't be resumed, {reason}") and "\n" not in line
    assert line.endswith("damaged or of another version of cspkeras, train anew with --overwrite, or in another folder")


def test_a_whole_state_is_resumed(tmp_path):
    meta = write(tmp_path / "last.npz")
    assert read_run(tmp_path / "last.npz") == meta


OTHER = {  # changes of a whole state of the small detector
    "fewer weights": (lambda arrays: arrays.popitem(), "weight"),
    "no weights": (lambda arrays: [arrays.pop(name) for name in [*arrays] if name.startswith("weight")], "weight"),
    "a weight of another shape": (lambda arrays: arrays.update(weight1=np.zeros((3, 3))), "weight"),
    "an average of another shape": (lambda arrays: arrays.update(average0=np.zeros((3, 3))), "average"),
}


@pytest.mark.parametrize("case", OTHER)
def test_arrays_of_other_shapes_change_nothing(case, detector, tmp_path):
    change, kind = OTHER[case]
    before = detector.get_weights()
    arrays = {f"weight{i}": np.full(weight.shape, 7.0) for i, weight in enumerate(before)}
    change(arrays)
    np.savez(tmp_path / "last.npz", meta="{}", **arrays)
    with pytest.raises(ValueError, match=f"last.npz: holds another model's {kind} arrays"):
        load_state(tmp_path / "last.npz", detector, optimizer=False, groups={"average": detector.weights})
    for a, b in zip(before, detector.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
