"""Files of the Hugging Face Hub, from a server on this machine in its place."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from small_timm import SMALL, save

import cspkeras
from cspkeras.backbones import timm_layout
from cspkeras.weights.published.hub import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Hub(ThreadingHTTPServer):
    """A Hub of the one file model.safetensors, at any revision but "absent", whose answers a test can spoil.

    Attributes:
        content: of the file.
        stated: what it says is the sha256.
        sent: how many bytes of the file it sends before it breaks off.
        requests: (method, path) of all so far.
    """

    daemon_threads = True

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.stated, self.sent, self.requests = content, hashlib.sha256(content).hexdigest(), None, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self, body=False):
        hub = self.server
        if self.path.endswith("/model.safetensors"):  # there are requests of huggingface-hub's own
            hub.requests.append((self.command, self.path))
        self.send_response(404 if "/absent/" in self.path else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if "/absent/" in self.path:
            self.send_header("X-Error-Code", "RevisionNotFound")
        self.send_header("ETag", f'"{hub.stated}"')
        self.send_header("X-Linked-Etag", f'"{hub.stated}"')
        self.send_header("Content-Length", str(len(hub.content)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.server.content[: self.server.sent])


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with Hub() as server:
        changed = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": False,
        }
        for name, value in changed.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # before each of huggingface-hub's trials
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def refused(message, **options):
    with pytest.raises(OSError, match=message) as caught:
        fetch("timm/net", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("revision", [None, "v1", COMMIT])
def test_a_file_is_fetched_once(hub, revision):
    path = fetch("timm/net", revision=revision)
    assert path.read_bytes() == CONTENT
    assert fetch("timm/net", revision=revision) == path
    assert {name for _, name in hub.requests} == {f"/timm/net/resolve/{revision or 'main'}/model.safetensors"}
    assert [method for method, _ in hub.requests].count("GET") == 1


def test_without_a_network_the_cache_serves(hub, monkeypatch):
    path = fetch("timm/net")
    hub.shutdown()
    hub.server_close()
    assert fetch("timm/net") == path
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("timm/net") == path


def test_without_links_in_the_cache_the_hub_is_asked_again(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda cache_dir=None: False)
    path = fetch("timm/net")
    assert not path.is_symlink() and fetch("timm/net") == path
    path.write_bytes(CONTENT[::-1])
    refused("damaged")
    assert fetch("timm/net").read_bytes() == CONTENT


def test_a_file_that_is_not_what_the_hub_states_is_never_used(hub):
    right, hub.content = hub.content, CONTENT[:-1] + b"x"
    found = hashlib.sha256(hub.content).hexdigest()
    refused(f"model.safetensors of timm/net at v1: damaged, expected sha256 {hub.stated}, found {found}", revision="v1")
    hub.content = right
    assert fetch("timm/net", revision="v1").read_bytes() == right


def test_a_file_damaged_in_the_cache_is_fetched_again(hub):
    path = fetch("timm/net")
    path.resolve().write_bytes(CONTENT[: len(CONTENT) // 2])
    refused("damaged, .*; removed, the next call fetches it anew")
    assert fetch("timm/net").read_bytes() == CONTENT


def test_a_transfer_that_breaks_off_is_an_error_and_no_file(hub, tmp_path):
    hub.sent = len(CONTENT) // 2
    refused("model.safetensors of timm/net: cannot be fetched from the Hugging Face Hub .*; try again with a network")
    assert not [path for path in Path(tmp_path, "cache").rglob("*") if path.is_file() and path.stat().st_size > 1000]
    hub.sent = None
    assert fetch("timm/net").read_bytes() == CONTENT


def test_without_network_and_cache_the_error_says_what_to_do(hub, monkeypatch):
    hub.shutdown()
    hub.server_close()
    assert "pass the path of a copy as weights" in refused("model.safetensors of timm/net: cannot be fetched")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused("cannot be fetched")


def test_an_unknown_revision_is_named(hub):
    refused("model.safetensors of timm/net at absent: cannot be fetched .*Revision Not Found", revision="absent")


def test_a_file_without_a_sha256_is_refused(hub):
    hub.stated = "0" * 40
    refused("expected a sha256, the Hub states '0{40}'")


@pytest.mark.integration
def test_the_published_weights_are_those_of_timms_repository(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(timm_layout.VARIANTS, "CSPResNet50", SMALL["resnet"])
    source = timm_layout.build(SMALL["resnet"], input_shape=(32, 32, 3), classes=5)
    path = save(source, tmp_path / "x.safetensors")
    hub.content, hub.stated = path.read_bytes(), hashlib.sha256(path.read_bytes()).hexdigest()
    for weights, revision in (("imagenet", "main"), ("imagenet@v1", "v1")):
        model = cspkeras.CSPResNet50(input_shape=(32, 32, 3), classes=5, weights=weights)
        assert hub.requests[-1][1] == f"/timm/cspresnet50.ra_in1k/resolve/{revision}/model.safetensors"
        for one, other in zip(model.weights, source.weights, strict=True):
            np.testing.assert_array_equal(one, other)
