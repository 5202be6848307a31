"""Connections of a server that say nothing: few of them, for a short time, and no one else waits for them."""

import socket
import threading
import time
from socketserver import StreamRequestHandler, TCPServer

import pytest

from cspkeras.connections import Connections


class Echo(StreamRequestHandler):
    """Answer each line with itself, after "hello" for as long as there are any."""

    def handle(self):
        while line := self.rfile.readline():
            if line == b"hello\n":
                self.server.welcome(self.request)
            self.wfile.write(line)


class Server(Connections, TCPServer):
    most = 3


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Echo) as one:
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
        yield one
        one.close()


def connected(server, said=b""):
    one = socket.create_connection(server.server_address, timeout=20)
    if said:
        one.sendall(said)
        assert one.recv(100) == said
    return one


def test_the_oldest_stranger_makes_room(server):
    known = connected(server, b"hello\n")
    strangers = [connected(server, b"x\n") for _ in range(10)]
    for one in strangers[:7]:
        assert one.recv(1) == b""  # it is ended
    for one in (known, *strangers[7:]):
        one.sendall(b"still\n")
        assert one.recv(100) == b"still\n"
        one.close()
    assert eventually(lambda: not server.connections)


def test_a_stranger_has_little_time(server):
    known, stranger = connected(server, b"hello\n"), connected(server, b"x\n")
    later = time.monotonic() + server.patience + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: later)
        assert stranger.recv(1) == b""
    known.sendall(b"still\n")
    assert known.recv(100) == b"still\n"
    known.close()


def test_a_server_that_closes_ends_all(server):
    ones = [connected(server, b"hello\n"), connected(server, b"x\n")]
    server.close()
    assert [one.recv(1) for one in ones] == [b"", b""]


def eventually(true, seconds=20):
    end = time.perf_counter() + seconds
    while not true() and time.perf_counter() < end:
        time.sleep(0.01)
    return true()
