"""Several workers: the run is that of one, and it survives the death of any of them."""

import csv
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from quick_xla import XLA_FLAGS
from small_data import small_voc

from cspkeras.commands.main import main
from cspkeras.saving import load_detector
from cspkeras.tflite import convert
from cspkeras.training import read_voc, training_batches
from cspkeras.training.distribution import workers as distribution
from cspkeras.training.distribution.workers import broadcast_metrics, check_workers, share
from cspkeras.training.pipeline.detection import letterboxed

SCRIPT = Path(__file__).parents[2] / "support" / "run_worker.py"
LIMIT = 300  # seconds for a run
TWO = "localhost:5000,localhost:5001"
QUICK = {"XLA_FLAGS": XLA_FLAGS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # to compile


@pytest.mark.parametrize(
    ("addresses", "rank", "batch_size", "message"),
    [
        (TWO, 2, 4, "--rank: must be 0 to 1, one per worker. Received: 2"),
        (TWO, None, 4, "--rank: must be 0 to 1, one per worker. Received: None"),
        (TWO, 1, 3, "batch_size must be a multiple of the 2 workers. Received: 3"),
        (TWO, 1, "auto", "batch_size must be a multiple of the 2 workers. Received: auto"),
        ("localhost:5000", 0, 4, "--workers: expected two or more, each once. Received: localhost:5000"),
        ("localhost:1,localhost:1", 0, 4, "--workers: expected two or more, each once. Received: "),
        ("localhost,localhost:5001", 0, 4, "--workers: expected host:port. Received: 'localhost'"),
        ("localhost:0,localhost:5001", 0, 4, "--workers: expected host:port. Received: 'localhost:0'"),
        ("localhost:70000,b:1", 0, 4, "--workers: expected host:port. Received: 'localhost:70000'"),
        ("localhost:5000,no-such-host.invalid:5001", 0, 4, "--workers: no-such-host.invalid:5001 does not resolve ("),
        (None, 1, 4, "--rank needs --workers, the addresses of all workers. Received: --rank 1"),
    ],
)
def test_workers_that_can_not_train_together(addresses, rank, batch_size, message, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError) as error:
        check_workers(addresses, rank, batch_size)
    assert str(error.value).startswith(message)


@pytest.mark.skipif(keras.config.backend() == "jax", reason="is about other backends")
def test_another_backend_is_refused_before_any_work(tmp_path, capsys):
    command = ["train", "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--workers", TWO, "--rank", "0"]
    assert main(command) == 1
    assert capsys.readouterr().err.startswith("cspkeras: --workers: needs the JAX backend, KERAS_BACKEND=jax with jax")
    assert not (tmp_path / "run").exists()


def test_a_first_worker_that_is_not_there(monkeypatch):
    monkeypatch.setattr(distribution, "START_TIMEOUT", -1)
    first = two_addresses().split(",")[0]
    with pytest.raises(OSError, match=f"^--workers: {first}, rank 0, is not there after -1 seconds"):
        distribution._wait_for(first)


def test_who_is_alone_has_it_all():
    assert share() == (0, 1)
    assert broadcast_metrics({"mAP": 0.1}) == {"mAP": 0.1}


def test_the_workers_parts_are_the_batch(tmp_path):
    data = read_voc(small_voc(tmp_path, train=7), "train")

    def first(share):
        batches = training_batches(data, (32, 32), 6, seed=1, start_step=1, share=share).take(2)
        return np.stack([images for images, _ in batches.as_numpy_iterator()])

    whole = first((0, 1))
    for workers in (2, 3):
        parts = [first((rank, workers)) for rank in range(workers)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    return small_voc(tmp_path_factory.mktemp("voc"), train=8, val=2)


def start(folder, voc, *, workers="", rank=0, dies_at=-1, **recipe):
    command = [sys.executable, SCRIPT, folder, voc, workers, str(rank), json.dumps(recipe), str(dies_at)]
    environment = os.environ | {"KERAS_BACKEND": "jax", **QUICK, "JAX_COMPILATION_CACHE_DIR": str(voc / "compiled")}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(processes):
    """(exit status, output) of each, none of which outlives this."""
    try:
        return [(p.communicate(timeout=LIMIT)[0], p.returncode)[::-1] for p in processes]
    finally:
        for process in processes:
            process.kill()


def losses(folder):
    with open(folder / "results.csv", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def two_addresses():
    with socket.socket() as one, socket.socket() as other:
        for port in (one, other):
            port.bind(("127.0.0.1", 0))
        return ",".join(f"127.0.0.1:{port.getsockname()[1]}" for port in (one, other))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
def test_two_workers_train_as_one_does_also_after_a_death(voc, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert ended([start(alone, voc)])[0][0] == 0
    workers = two_addresses()
    first, second = (start(both, voc, workers=workers, rank=rank, dies_at=(-1, 10)[rank]) for rank in (0, 1))
    assert second.wait(LIMIT) == -9
    died = time.monotonic()
    (status, output), _ = ended([first, second])
    assert time.monotonic() - died < 60
    assert status == 1 and "RuntimeError: another worker has ended; start all of them again, with --resume" in output
    np.testing.assert_allclose(losses(both), losses(alone)[:10], rtol=1e-5, atol=1e-4)

    workers = two_addresses()
    resumed = ended([start(both, voc, workers=workers, rank=rank) for rank in (0, 1)])
    assert [status for status, _ in resumed] == [0, 0], resumed
    np.testing.assert_allclose(losses(both), losses(alone), rtol=1e-5, atol=1e-4)
    assert {path.name for path in both.iterdir()} == {path.name for path in alone.iterdir()}
    model = load_detector(both / "best.keras")  # under the backend of the tests
    with np.load(both / "best.npz") as best:
        for i, weight in enumerate(model.weights):
            np.testing.assert_array_equal(weight, best[f"weight{i}"])
    calibration = letterboxed(read_voc(voc, "train"), model.inputs[0].shape[1:3])
    convert(model, tmp_path / "int8.tflite", "int8", calibration, refine_steps=1)  # quantization-aware training as well


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
def test_workers_with_different_recipes_are_an_error(voc, tmp_path):
    workers = two_addresses()
    processes = [start(tmp_path, voc, workers=workers, rank=rank, epochs=(2, 3)[rank]) for rank in (0, 1)]
    (first, _), (second, output) = ended(processes)
    assert (first, second) == (1, 1)
    assert "worker 1 has another recipe, network or data than worker 0; start all with the same" in output
