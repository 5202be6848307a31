"""Batches from a data service: those that would be made here, and one line where it can't give them."""

import contextlib
import dataclasses
import json
import socket
import threading
import time

import numpy as np
import psutil
import pytest

from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit, read_voc
from cspkeras.training.distribution.data_server import DataServer
from cspkeras.training.distribution.served_batches import check_service, served
from cspkeras.training.distribution.wire import receive, send
from cspkeras.training.pipeline.batches import batches


def free_port():
    """A free port, or so it was a moment ago."""
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


@pytest.fixture
def serve():
    """A function that serves data and gives the server."""
    servers = []

    def start(data):
        server = DataServer(data, f"localhost:{free_port()}")
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.close()


def classified():
    rng = np.random.default_rng(0)
    images = [LabelledImage(rng.integers(256, size=(40, 48, 3), dtype="uint8"), i % 3) for i in range(7)]
    return ClassificationData(images, tuple("abc"))


def flat(batch):
    image, target = batch
    return [image, *(target[key] for key in sorted(target))] if isinstance(target, dict) else [image, target]


@pytest.mark.integration
def test_the_same_batches_as_here(serve, make_voc):
    boxes = read_voc(make_voc(train=7), "train")
    for data, augment in ((boxes, {"mosaic": 0.5, "multiscale": 1.5}), (classified(), {"cutmix": 0.5})):
        address = serve(data).address
        check_service(address, data)
        for start_step, share in ((0, (0, 1)), (2, (1, 2))):
            how = dict(seed=3, start_step=start_step, augment=augment, share=share)
            got, here = served(address, (32, 64), 4, **how), batches(data, (32, 64), 4, **how)
            assert got.element_spec == here.element_spec
            for _ in range(2):  # each iterator is a run of its own
                for one, other in zip(*(made.take(3).as_numpy_iterator() for made in (got, here)), strict=True):
                    for a, b in zip(*map(flat, (one, other)), strict=True):
                        np.testing.assert_array_equal(a, b)
                        assert a.dtype == b.dtype


@pytest.mark.integration
def test_a_run_with_a_data_service_is_that_without(serve, classifier, tmp_path):
    data, recipe = classified(), Recipe(epochs=2, batch_size=3, seed=1)
    rows = []
    for name, address in (("own", None), ("served", serve(data).address)):
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
    address = serve(data).address
    for options, message in (
        ({"batch_size": 6}, "5 training images do not fill one batch of 6"),
        ({"batch_size": 2, "augment": {"mosaik": 1}}, "Augmentation"),
        ({"batch_size": 2, "wanted": 1}, "_Run._serve"),
    ):
        with pytest.raises(ValueError, match=f"^--data-service {address}: .*{message.partition('(')[0]}"):
            served(address, (32, 32), **options)
    other = dataclasses.replace(data, class_names=("a", "b", "c"))
    with pytest.raises(ValueError, match=f"^--data-service {address}: serves other images, labels or classes than "):
        check_service(address, other)
    with pytest.raises(OSError, match=f"^{address}: port .* can't be opened "):
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


@pytest.mark.integration
def test_a_run_that_is_gone_leaves_nothing(serve):
    """No thread, no connection, and of its processes but the one that starts them."""
    few = classified()
    server, children = serve(dataclasses.replace(few, examples=few.examples * 200)), psutil.Process().children
    others = set(children(recursive=True))
    threads = threading.active_count()
    runs = [socket.create_connection(("localhost", server.server_address[1])) for _ in range(2)]
    for run in runs:
        receive(run)
        send(run, {"size": [16, 16], "batch_size": 2})
    for run in runs:
        for _ in range(2):  # what they are, and one
            assert "error" not in receive(run)[0]
    assert server.runs == 2
    for run in runs:
        run.close()
    assert eventually(lambda: not server.runs and threading.active_count() <= threads)
    assert eventually(lambda: len(set(children(recursive=True)) - others) <= 1)


@pytest.mark.integration
def test_a_service_that_ends_is_one_line(serve):
    server = serve(classified())
    arriving = iter(served(server.address, (16, 16), 2))
    next(arriving)
    server.close()
    line = f"--data-service {server.address}: the data service has ended (.*); continue the run with --resume once it"
    with pytest.raises(Exception, match=line):
        for _ in arriving:
            pass


def eventually(true, seconds=20):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b"\0\0\0\1{",
        b'\0\0\0\x22{"arrays": [["|u1", [100000000]]]}',
        b'\0\0\0\x0e{"arrays": []}',
        b"\0\0",
    ],
)
def test_strangers_are_sent_away(serve, sent):
    server = serve(classified())
    with socket.create_connection(("localhost", server.server_address[1])) as connection:
        hello, _ = receive(connection)
        assert hello["service"] == "cspkeras data"
        said = b""
        with contextlib.suppress(OSError):  # it may have closed already
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert not said or "error" in json.loads(said[4:])
    check_service(server.address, server.data)


def test_what_is_sent_arrives():
    rng, (one, other) = np.random.default_rng(0), socket.socketpair()
    sent = [
        rng.integers(256, size=(2, 3, 4), dtype="uint8"),
        rng.random((2, 0, 4), "float32"),
        np.int32(7),
        np.eye(3)[:, ::2],
    ]
    with one, other:
        send(one, {"text": "é"}, sent[:3])
        header, arrived = receive(other)
        assert header == {"text": "é"}
        for a, b in zip(sent, arrived, strict=False):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype and np.shape(a) == b.shape
        send(one, {}, sent[3:])
        with pytest.raises(ValueError, match="arrays that are not expected"):  # a kind that no batch has
            receive(other)


def test_an_address_to_serve_at(one_error, tmp_path):
    line = one_error("data", "serve", tmp_path, "--address", "nowhere")
    assert line == "cspkeras: --address: expected host:port. Received: 'nowhere'"
