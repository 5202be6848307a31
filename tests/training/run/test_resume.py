"""A run that is killed at any moment and resumed ends as it would have without the kill: to the last bit."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from small_data import small_voc

from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit
from cspkeras.training.run.callback import Run

SPEED = {"images_per_second", "data_wait"}  # what no two runs have in common
TRAIN = """
import sys
import keras, numpy as np, tensorflow as tf
import quick_graphs
from small_networks import shallow_detector
from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit, read_voc
tf.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(0)
kind, voc, folder, resume = sys.argv[1:]
train, val = read_voc(voc, "train"), read_voc(voc, "val")
recipe = dict(epochs=3, batch_size=2, warmup_epochs=1, seed=3, save_every=0, ema=0.99)
if kind == "classifier":  # with dropout, gradients over two steps, and SGD
    x = inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(x))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(x), name="tiny")
    rng = np.random.default_rng(0)
    images = [LabelledImage(rng.integers(256, size=(32, 32, 3), dtype="uint8"), i % 3) for i in range(15)]
    train, val = (ClassificationData(images[i:], tuple("abc")) for i in (0, 10))
    recipe |= dict(optimizer="sgd", accumulate=2, learning_rate=0.1, epochs=10)
else:
    model = shallow_detector()
if kind == "quantized":
    from cspkeras.training import quantize_aware
    model = quantize_aware(model)
fit(model, train, val, folder, Recipe(**recipe), resume=resume == "resume")
"""
ONE_THREAD = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def train(kind, voc, folder, how="anew"):
    command = [sys.executable, "-c", TRAIN, kind, str(voc), str(folder), how]
    return subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.DEVNULL, start_new_session=True)


def changed_at(path):
    return path.stat().st_mtime_ns if path.exists() else 0


def kill_soon(process, folder):
    """Kill a run at a random moment after some saved states; returns whether it was still running."""
    state, end = folder / "last.npz", time.monotonic() + 300
    for _ in range(random.randint(2, 7)):
        before = changed_at(state)
        while changed_at(state) == before and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.002)
    time.sleep(random.uniform(0, 0.2))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def rows(folder):
    with open(folder / "results.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name not in SPEED} for row in csv.DictReader(file)]


@pytest.mark.integration
@pytest.mark.parametrize("stop", (3, 8))
def test_a_stopped_run_is_resumed_within_the_epoch(stop, tmp_path, monkeypatch):
    def network():
        keras.utils.set_random_seed(0)
        x = inputs = keras.Input((8, 8, 3))
        x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Flatten()(x)))
        return keras.Model(inputs, keras.layers.Dense(3)(x), name="tiny")

    def save(self):
        saved(self)
        if self.progress.step == stop:
            raise KeyboardInterrupt

    rng, reports = np.random.default_rng(0), []
    images = [LabelledImage(rng.integers(256, size=(8, 8, 3), dtype="uint8"), i % 3) for i in range(16)]
    data, recipe = ClassificationData(images, tuple("abc")), Recipe(epochs=3, batch_size=4, save_every=0, ema=0.9)
    whole, (a, b), saved = network(), (tmp_path / "a", tmp_path / "b"), Run.save
    expected = fit(whole, data, data, a, recipe, report=reports.append)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save)
        for resume in (False, True):  # the second stops before it has done a step
            with pytest.raises(KeyboardInterrupt):
                fit(network(), data, data, b, recipe, resume=resume, report=lambda line: None)
    model = network()
    got = fit(model, data, data, b, recipe, resume=True, report=reports.append)
    where = f"step {stop % 4} of 4 in epoch {stop // 4 + 1}" if stop % 4 else f"epoch {stop // 4}"
    assert reports[1] == f"resuming after {where} of 3"
    for row, same in zip(got, expected, strict=True):
        assert {k: v for k, v in row.items() if k not in SPEED} == pytest.approx(
            {k: v for k, v in same.items() if k not in SPEED}, rel=1e-5
        )
    with np.load(a / "last.npz") as one, np.load(b / "last.npz") as other:
        for name in set(one.files) - {"meta"}:
            np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("kind, kills", (("detector", 1), ("classifier", 2), ("quantized", 1)))
def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(kind, kills, tmp_path):
    voc, whole, killed = small_voc(tmp_path / "voc", train=13), tmp_path / "whole", tmp_path / "killed"
    assert train(kind, voc, whole).wait() == 0
    steps, how = [], "anew"
    while len(steps) < kills and kill_soon(train(kind, voc, killed, how), killed):
        how = "resume"
        with np.load(killed / "last.npz") as state:  # what has its final name is whole
            steps.append(json.loads(str(state["meta"]))["step"])
    assert steps and steps[0] > 0
    print(f"killed after steps {steps}")
    assert train(kind, voc, killed, "resume").wait() == 0

    names = {path.name for path in killed.iterdir() if not path.name.startswith(".")}
    assert names == {path.name for path in whole.iterdir()}
    assert rows(killed) == rows(whole)
    for file in ("last.npz", "best.npz"):
        with np.load(killed / file) as got, np.load(whole / file) as expected:
            assert set(got) == set(expected) and len(got.files) > 5
            for name in set(got.files) - {"meta"}:
                np.testing.assert_array_equal(got[name], expected[name], err_msg=f"{file}: {name}")
