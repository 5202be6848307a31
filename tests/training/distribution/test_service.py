"""Batches from a data service: those that would be made here, and one line where it can't give them."""

import dataclasses
import os
import socket
import threading

import numpy as np
import pytest

from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit, read_voc
from cspkeras.training.distribution import service
from cspkeras.training.distribution.service import DataServer, check_service, served
from cspkeras.training.pipeline.batches import batches


def free_port():
    """The first of three free ports in a row, or so it was a moment ago."""
    while True:
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            one.bind(("", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("", port + 1))
                three.bind(("", port + 2))
            except (OSError, OverflowError):
                continue
            return port


@pytest.fixture
def serve():
    """A function that serves data and gives the address."""
    servers = []

    def start(data):
        server = DataServer(data, f"localhost:{free_port()}")
        servers.append(server)
        threading.Thread(target=server.serve, daemon=True).start()
        return server.address

    yield start
    for server in servers:
        server.close()


def classified():
    rng = np.random.default_rng(0)
    images = [LabelledImage(rng.integers(256, size=(40, 48, 3), dtype="uint8"), i % 3) for i in range(7)]
    return ClassificationData(images, tuple("abc"))


@pytest.mark.integration
def test_the_same_batches_as_here(serve, make_voc):
    boxes = read_voc(make_voc(train=7), "train")
    for data, augment in ((boxes, {"mosaic": 0.5, "multiscale": 1.5}), (classified(), {"cutmix": 0.5})):
        address = serve(data)
        check_service(address, data)
        for start_step, share in ((0, (0, 1)), (2, (1, 2))):
            how = dict(seed=3, start_step=start_step, augment=augment, share=share)
            got = served(address, (32, 64), 4, **how).take(3).as_numpy_iterator()
            for one, other in zip(got, batches(data, (32, 64), 4, **how).take(3).as_numpy_iterator(), strict=True):
                for a, b in zip(*map(flat, (one, other)), strict=True):
                    np.testing.assert_array_equal(a, b)
                    assert a.dtype == b.dtype


def flat(batch):
    image, target = batch
    return [image, *(target[key] for key in sorted(target))] if isinstance(target, dict) else [image, target]


@pytest.mark.integration
def test_a_run_with_a_data_service_is_that_without(serve, classifier, tmp_path):
    data, recipe = classified(), Recipe(epochs=2, batch_size=3, seed=1)
    rows = []
    for name, address in (("own", None), ("served", serve(data))):
        run = fit(classifier(), data, data, tmp_path / name, recipe, data_service=address)
        rows.append([row["loss"] for row in run])
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)


@pytest.fixture
def classifier():
    import keras

    def make():
        keras.utils.set_random_seed(0)
        x = inputs = keras.Input((16, 16, 3))
        return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)), name="tiny")

    return make


def test_what_can_not_be_served(serve, make_voc):
    data = read_voc(make_voc(train=5), "train")
    address = serve(data)
    with pytest.raises(ValueError, match=f"^--data-service {address}: 5 training images do not fill one batch of 6$"):
        served(address, (32, 32), 6)
    other = dataclasses.replace(data, class_names=("a", "b", "c"))
    with pytest.raises(ValueError, match=f"^--data-service {address}: serves other images, labels or classes than "):
        check_service(address, other)
    with pytest.raises(OSError, match=f"^{address}: ports .* can't be opened "):
        DataServer(data, address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("localhost", "--data-service: expected host:port. Received: 'localhost'"),
        ("no-such-host.invalid:5001", "--data-service: no-such-host.invalid:5001 does not resolve ("),
        ("localhost:{}", "--data-service localhost:{}: no `cspkeras data serve` answers there ("),
    ],
)
def test_a_missing_service_is_an_error_before_the_data_is_read(address, message, one_error, monkeypatch, tmp_path):
    monkeypatch.setattr("cspkeras.training.data.reading.read", lambda *_: pytest.fail("the data is read"))
    port = free_port()
    line = one_error("train", "--data", tmp_path, "--run", tmp_path / "run", "--data-service", address.format(port))
    assert line.startswith(f"cspkeras: {message.format(port)}")
    assert not (tmp_path / "run").exists()


def test_an_address_to_serve_at(one_error, tmp_path):
    line = one_error("data", "serve", tmp_path, "--address", "nowhere")
    assert line == "cspkeras: --address: expected host:port. Received: 'nowhere'"


GONE = OSError("--data-service a:1: no `cspkeras data serve` answers there (refused)")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([["a", 1], ["a", 1], GONE, GONE, GONE], str(GONE)),
        ([["a", 1], GONE, ["a", 1], ["a", 2]], "--data-service a:1: has been restarted"),
    ],
)
def test_a_service_that_dies_ends_the_run(answers, message, monkeypatch, capsys):
    def ask(*_):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    ended = threading.Event()
    monkeypatch.setattr(service, "PING_INTERVAL", 0.01)
    monkeypatch.setattr(service, "PING_TIMEOUT", 0.025)
    monkeypatch.setattr(service, "_ask", ask)
    monkeypatch.setattr(os, "_exit", lambda status: ended.set() if status == 1 else None)
    with service.watched("a:1"):
        assert ended.wait(60)
    assert capsys.readouterr().err == f"cspkeras: {message}; continue the run with --resume once it answers\n"
    assert not answers


def test_the_watch_ends_with_the_block(monkeypatch):
    monkeypatch.setattr(service, "PING_INTERVAL", 0.01)
    asked = []
    monkeypatch.setattr(service, "_ask", lambda *args: asked.append(args))
    with service.watched("a:1"):
        (thread,) = (one for one in threading.enumerate() if one.name == "watch")
    thread.join(60)
    assert not thread.is_alive()
