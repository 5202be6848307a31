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
from cspkeras.training.distribution.served_batches import Service, check_service, served
from cspkeras.training.distribution.tokens import token_of
from cspkeras.training.distribution.wire import proof, receive, send
from cspkeras.training.pipeline.batches import batches

TOKEN = "0123456789abcdef"


def known(server, token=TOKEN):
    """What a client knows of a server."""
    return Service(server.address, token)


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
        server = DataServer(data, f"localhost:{free_port()}", TOKEN)
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
        service = known(serve(data))
        check_service(service, data)
        for start_step, share in ((0, (0, 1)), (2, (1, 2))):
            how = dict(seed=3, start_step=start_step, augment=augment, share=share)
            got, here = served(service, (32, 64), 4, **how), batches(data, (32, 64), 4, **how)
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
        run = fit(classifier(), data, data, tmp_path / name, recipe, data_service=address, data_token=TOKEN)
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
    service = known(serve(data))
    address = service.address
    for options, message in (
        ({"batch_size": 6}, "5 training images do not fill one batch of 6"),
        ({"batch_size": 2, "augment": {"mosaik": 1}}, "Augmentation"),
        ({"batch_size": 2, "wanted": 1}, "_Run._serve"),
    ):
        with pytest.raises(ValueError, match=f"^--data-service {address}: .*{message.partition('(')[0]}"):
            served(service, (32, 32), **options)
    other = dataclasses.replace(data, class_names=("a", "b", "c"))
    with pytest.raises(ValueError, match=f"^--data-service {address}: serves other images, labels or classes than "):
        check_service(service, other)
    with pytest.raises(OSError, match=f"^{address}: port .* can't be opened "):
        DataServer(data, address, TOKEN)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("localhost", "--data-service: expected host:port. Received: 'localhost'"),
        ("no-such-host.invalid:5001", "--data-service: no-such-host.invalid:5001 does not resolve ("),
        ("localhost:{}", "--data-service localhost:{}: no `cspkeras data serve` answers there ("),
    ],
)
def test_a_missing_service_is_an_error_before_the_data_is_read(address, message, one_error, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPKERAS_TOKEN", TOKEN)
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
        run.sendall(proof(TOKEN, receive(run)[0]["nonce"]))
        assert receive(run)[0] == {"data": server.fingerprint}
        send(run, {"size": [16, 16], "batch_size": 2})
    for run in runs:
        for _ in range(2):  # what they are, and one
            assert "error" not in receive(run)[0]
    assert server.connections == 2
    for run in runs:
        run.close()
    assert eventually(lambda: not server.connections and threading.active_count() <= threads)
    assert eventually(lambda: len(set(children(recursive=True)) - others) <= 1)


@pytest.mark.integration
def test_a_service_that_ends_is_one_line(serve):
    server = serve(classified())
    arriving = iter(served(known(server), (16, 16), 2))
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
        b'\0\0\x27\x10{"arrays": ' + b"[" * 9989,
        b"\0\0",
    ],
)
@pytest.mark.parametrize("knows", [True, False])
def test_strangers_are_sent_away(serve, sent, knows):
    """Also those that know the token, and send anything after it."""
    server = serve(classified())
    with socket.create_connection(("localhost", server.server_address[1])) as connection:
        hello, _ = receive(connection)
        assert hello["service"] == "cspkeras data"
        said = b""
        with contextlib.suppress(OSError):  # it may have closed already
            if knows:
                connection.sendall(proof(TOKEN, hello["nonce"]))
                assert receive(connection)[0] == {"data": server.fingerprint}
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert not said or "error" in json.loads(said[4:])
    check_service(known(server), server.data)


def test_who_does_not_know_the_token(serve, monkeypatch):
    """Nothing of what it sends is read but the proof, which is another for each connection."""
    server = serve(classified())
    monkeypatch.setattr("cspkeras.training.distribution.data_server.receive", lambda *_: pytest.fail("it is read"))
    for token, message in ((None, "needs a token; set CSPKERAS_TOKEN to "), ("f" * 16, "the token is not that of ")):
        with pytest.raises(ValueError, match=f"^--data-service {server.address}: {message}"):
            check_service(known(server, token))
    nonces = []
    for _ in range(2):
        with socket.create_connection(("localhost", server.server_address[1])) as connection:
            nonces.append(receive(connection)[0]["nonce"])
            connection.sendall(proof(TOKEN, nonces[0]))
            assert ("error" in receive(connection)[0]) == (len(nonces) == 2)
    assert TOKEN not in repr(known(server))


def test_the_token_is_that_of_a_file_or_of_the_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("CSPKERAS_TOKEN", raising=False)
    assert token_of() is None
    monkeypatch.setenv("CSPKERAS_TOKEN", TOKEN)
    (file := tmp_path / "token").write_text("the one in the file\n")
    assert (token_of(), token_of(file)) == (TOKEN, "the one in the file")
    for text in ("", "short", "x" * 1001, "0123456789\n0123456789", "\0" * 20):
        file.write_text(text)
        with pytest.raises(ValueError, match=f"^--token {file}: expected a token of 16 to 1,000 printable characters$"):
            token_of(file)
    monkeypatch.setenv("CSPKERAS_TOKEN", "short")
    with pytest.raises(ValueError, match="^CSPKERAS_TOKEN: expected a token of "):
        token_of()


@pytest.mark.integration
def test_50_strangers_leave_nothing(serve):
    """Those that say nothing, and those that ask for runs without the token."""
    server, threads = serve(classified()), threading.active_count()
    asking = [socket.create_connection(("localhost", server.server_address[1])) for _ in range(50)]
    for one in asking[::2]:
        receive(one)
        one.sendall(bytes(32))
        send(one, {"size": [16, 16], "batch_size": 2})
        assert "error" in receive(one)[0]
    for one in asking:
        one.close()
    assert eventually(lambda: not server.connections and threading.active_count() <= threads)


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
