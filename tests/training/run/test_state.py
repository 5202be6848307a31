"""A run's state in one file."""

from operator import attrgetter

import numpy as np
import pytest

from cspkeras.training.run.state import load_state, save_state


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
    "meta that is no JSON": lambda path: np.savez(path, meta="{", weight0=np.zeros(3)),
    "a pickle": lambda path: np.savez(path, meta=np.array([{}], dtype=object)),
}


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
