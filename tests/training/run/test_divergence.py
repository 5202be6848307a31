"""A run whose loss or weights are no longer numbers ends with an error, and leaves a state to resume from."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_data import COLORS, small_voc
from small_networks import shallow_detector
from tiny_classifier import PLAIN, TRAIN, VAL, fit_tiny, tiny

from cspkeras.commands.main import main
from cspkeras.commands.terminal import reason
from cspkeras.training import Recipe, fit, quantize_aware
from cspkeras.training.run.callback import Run

pytestmark = pytest.mark.integration
TOO_HIGH = dict(learning_rate=1e9, optimizer="sgd", epochs=4)


@pytest.fixture(autouse=True, scope="module")
def eager():
    """To trace a graph takes longer than the few steps of these runs."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def assert_finite(folder):
    """Check that no array in a run's states is NaN or infinite."""
    states = list(folder.glob("*.npz"))
    for state in states:
        with np.load(state) as arrays:
            assert all(np.isfinite(arrays[name]).all() for name in arrays.files if arrays[name].dtype.kind == "f")
    return [state.name for state in states]


def test_a_rate_that_is_too_high_is_named_and_a_lower_one_resumes(tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"the loss is (nan|inf) after step \d of 6 of epoch 1, at a"
    ) as caught:
        fit_tiny(tmp_path, tiny(None), **TOO_HIGH)
    assert "the rate is too high: --resume --set learning_rate=1e+08 continues at the beginning" in str(caught.value)
    assert reason(caught.value) == str(caught.value) and "\n" not in str(caught.value)
    assert assert_finite(tmp_path) == ["last.npz"] and not (tmp_path / "best.keras").exists()
    lower = Recipe(**PLAIN | dict(optimizer="sgd"))
    rows = fit(tiny(None), TRAIN, VAL, tmp_path, lower, resume=True, report=lambda line: None)
    assert len(rows) == 3 and np.isfinite(rows[-1]["loss"]) and (tmp_path / "best.keras").exists()


def test_a_quantized_classifier(tmp_path):
    with pytest.raises(FloatingPointError, match="so the rate is too high"):
        fit_tiny(tmp_path, quantize_aware(tiny(None)), **TOO_HIGH)
    assert assert_finite(tmp_path) == ["last.npz"]


def test_the_command_ends_in_a_line_and_a_status(tmp_path, capsys):
    """A detector's loss grows beyond all numbers; no best model of such weights is kept."""
    voc, folder, start = small_voc(tmp_path / "voc"), tmp_path / "run", tmp_path / "start.keras"
    shallow_detector(classes=tuple(COLORS)).save(start)
    command = f"train --data {voc} --weights {start} --run {folder} --epochs 4 --batch-size 2 --learning-rate 1e9"
    assert main([*command.split(), "--set", "warmup_epochs=0", "--set", "clip_norm=0"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(f"cspkeras: {folder}: the loss is ")
    assert "so the rate is too high: --resume --set learning_rate=1e+08 continues" in said.err.splitlines()[-1]
    assert "Traceback" not in said.err and "best model" not in said.out
    assert assert_finite(folder) == ["last.npz"] and not (folder / "best.keras").exists()


@pytest.mark.parametrize("when", ["on_train_batch_begin", "on_train_batch_end"])
def test_what_did_not_grow_is_no_reason(when, tmp_path, monkeypatch):
    """NaN weights before a step give a NaN loss; after an epoch's last step they are seen before they are measured."""
    method, step = getattr(Run, when), {"on_train_batch_begin": 8, "on_train_batch_end": 11}[when]

    def spoil(run, batch, logs=None):
        if run.progress.step == step:
            run.model.layers[1].kernel.assign(run.model.layers[1].kernel * np.nan)
        method(run, batch, logs)

    monkeypatch.setattr(Run, when, spoil)
    with pytest.raises(FloatingPointError, match="neither loss nor weights had grown before; --resume con") as caught:
        fit_tiny(tmp_path, tiny(None))
    said = {
        "on_train_batch_begin": "the loss is nan after step 3 of 6",
        "on_train_batch_end": "the weights are no longer",
    }
    assert said[when] in str(caught.value) and "continues after step 6 of 6 of epoch 1" in str(caught.value)
    assert sorted(assert_finite(tmp_path)) == ["best.npz", "last.npz"]
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 2
    assert keras.saving.load_model(tmp_path / "best.keras")
