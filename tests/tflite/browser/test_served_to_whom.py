"""Whom the page's server answers, with what, and how it bears connections that say nothing."""

import http.client
import re
import socket
import threading

import cell_detector
import psutil
import pytest

from cspkeras.tflite.browser import server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    (folder / "a b.svg").write_text("<svg/>")
    (folder / "large.bin").write_bytes(bytes(20_000_000))
    return folder


@pytest.fixture(scope="module")
def port(tmp_path_factory, images):
    file = cell_detector.write(tmp_path_factory.mktemp("model") / "cells.tflite")
    with server.make_server(file, 0, images=images) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one.server_port
        one.close()


def asked(port, path="/", host="127.0.0.1:8000", method="GET"):
    """The answer's status, headers and content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("localhost:1", 200),  # the other end of a tunnel
        ("LocalHost", 200),
        (None, 421),
        ("", 421),
        ("evil.example:8000", 421),  # whose name leads here
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("[::1]:8000", 421),
        ("0.0.0.0:8000", 421),
    ],
)
def test_only_its_own_names_are_answered(port, host, status):
    for path in ("/", "/model.tflite", "/images/large.bin", "/none"):
        found, _, content = asked(port, path, host)
        assert found == (404 if path == "/none" and status == 200 else status)
        assert status == 200 or b"Answers to 127.0.0.1 and localhost alone" in content


@pytest.mark.parametrize("path", ["/", "/model.tflite", "/detector.js", "/images/a%20b.svg", "/none"])
def test_head_is_get_without_the_content(port, path):
    (status, headers, content), (same, others, nothing) = (asked(port, path, method=kind) for kind in ("GET", "HEAD"))
    assert same == status and nothing == b"" and int(headers["Content-Length"]) == len(content)
    for each in (headers, others):
        del each["Date"]
    assert others == headers


def test_no_script_from_elsewhere(port):
    """The policy lets in what the page itself holds and LiteRT.js of its version, and nothing that is put into it."""
    _, headers, page = asked(port)
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == policy["img-src"] == policy["worker-src"] == "'self'"
    scripts = policy["script-src"].split()
    hashes = [source for source in scripts if source.startswith("'sha256-")]
    assert len(hashes) == page.count(b"<script") == 2 and policy["style-src"].count("'sha256-") == 1
    litert = [server.CDN.format(package) for package in server.PACKAGES]
    assert set(scripts) == {"'self'", "'wasm-unsafe-eval'", *hashes, *litert}
    assert policy["connect-src"].split() == ["'self'", *litert]
    assert all(re.fullmatch(r"https://[a-z.]+/npm/@litertjs/[a-z-]+@[0-9.]+/", address) for address in litert)
    for path in ("/model.tflite", "/detector.js"):
        assert asked(port, path)[1]["Content-Security-Policy"] == headers["Content-Security-Policy"]
    assert asked(port, "/images/a%20b.svg")[1]["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_200_slow_connections(port):
    """They wait with half a request, or with an answer of 20 MB that they don't read; another is answered."""
    process = psutil.Process()
    asked(port, "/images/large.bin")
    before, threads, slow = process.memory_info().rss, process.num_threads(), []
    for number in range(200):
        slow.append(one := socket.create_connection(("127.0.0.1", port), timeout=20))
        one.sendall(b"GET /images/large.bin HTTP/1.1\r\nHost: localhost\r\n" + (b"\r\n" if number % 2 else b"X"))
    assert asked(port, "/detector.js")[0] == 200
    assert process.memory_info().rss - before < 50e6
    assert process.num_threads() - threads < 2 * server.PageServer.most  # some are about to end
    for one in slow:
        one.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\0\xff\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9.9\r\n\r\n",
        b"A" * 70_000,
        b"POST / HTTP/1.1\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_request(port, said, capsys):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        one.sendall(said)
        one.shutdown(socket.SHUT_WR)
        while one.recv(1 << 16):
            pass
    assert asked(port)[0] == 200
    assert not any(capsys.readouterr())
