"""Downloads of published files: from a server on this machine, with every fault that a network has."""

import errno
import hashlib
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from file_server import serving

from cspkeras.weights.published import download as module
from cspkeras.weights.published.download import cache_folder, download

CONTENT = bytes(range(256)) * 4096
SIZE = len(CONTENT)  # 1 MiB
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
GIT = f"git:{hashlib.sha1(b'blob %d' % SIZE + bytes(1) + CONTENT).hexdigest()}"
HALF = SIZE // 2


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CSPKERAS_MIRROR", raising=False)
    monkeypatch.setattr(module, "PAUSE", 0)
    with serving(CONTENT) as server:
        yield server


def get(server, path="/net.onnx", size=SIZE, checksum=SHA256):
    return download(server.url + path, "net.onnx", size, checksum)


def refused(server, *parts, **options):
    with pytest.raises(OSError) as caught:
        get(server, **options)
    text = str(caught.value)
    assert "\n" not in text and server.url in text and "give the path of a copy of net.onnx" in text
    assert all(part in text for part in parts), text
    assert not (cache_folder() / "net.onnx").exists()
    return text


def part():
    return cache_folder() / ".part.net.onnx"


@pytest.mark.parametrize("checksum", [SHA256, SHA256[:15], GIT, f"md5:{hashlib.md5(CONTENT).hexdigest()}", None])
@pytest.mark.parametrize("size", [SIZE, None])
def test_a_file_is_fetched_once(server, tmp_path, checksum, size):
    path = get(server, size=size, checksum=checksum)
    assert path == tmp_path / "home" / "cspkeras" / "net.onnx" and path.read_bytes() == CONTENT
    assert get(server, size=size, checksum=checksum) == path
    assert server.requests == [("/net.onnx", None)] and not part().exists()


def test_keras_own_folder_is_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".keras" / "cspkeras"


def test_a_mirror_has_the_files_by_their_names(server, monkeypatch):
    monkeypatch.setenv("CSPKERAS_MIRROR", f"{server.url}/weights/")
    assert download("https://example.invalid/v1/a", "net.onnx", SIZE, SHA256).read_bytes() == CONTENT
    assert server.requests == [("/weights/net.onnx", None)]


def test_what_breaks_off_is_resumed_at_once(server):
    server.breaks = [HALF, HALF + 100]
    assert get(server).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, f"bytes={HALF}-", f"bytes={HALF + 100}-"]


def test_what_was_left_is_resumed_by_the_next_call(server):
    server.breaks = [HALF, HALF]
    refused(server, "can't be fetched", f"broke off after {HALF:,} of {SIZE:,} bytes")
    assert part().read_bytes() == CONTENT[:HALF]
    assert get(server).read_bytes() == CONTENT and server.requests[-1][1] == f"bytes={HALF}-"


def test_what_no_checksum_proves_is_begun_anew(server):
    server.breaks = [HALF, HALF]
    refused(server, "broke off", checksum=None)
    assert get(server, checksum=None).read_bytes() == CONTENT and server.requests[-1][1] is None


def test_a_server_without_parts_begins_anew(server):
    server.ranges, server.breaks = False, [HALF]
    assert get(server).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("left", [CONTENT + b"more", CONTENT[:HALF][::-1]], ids=["too long", "other bytes"])
def test_the_beginning_of_another_file_is_not_kept(server, left):
    cache_folder().mkdir(parents=True)
    part().write_bytes(left)
    if len(left) < SIZE:
        refused(server, "damaged on the way, or another file")
    assert get(server).read_bytes() == CONTENT


def test_bytes_that_a_proxy_changes_are_removed(server):
    server.content = CONTENT[:-1] + b"x"
    found = hashlib.sha256(server.content).hexdigest()
    refused(server, f"expected sha256 {SHA256[7:]}, found {found}", "removed")
    assert not part().exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CONTENT[:HALF], f"expected {SIZE:,} bytes, the server has {HALF:,}"),
        (b"\n <!DOCTYPE html><title>Sign in</title>", "a web page: open its address in a browser, sign in"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-lfs pointer, which stands for the file"),
        (None, "the server answers 404 Not Found"),
    ],
    ids=["size", "page", "pointer", "404"],
)
def test_another_answer_than_the_file_is_named(server, content, said):
    server.content = content
    refused(server, said)
    assert not part().exists()


def test_a_redirect_to_a_page_is_told(server):
    server.content = b"<html>Sign in</html>"
    refused(server, f"{server.url}/login, to which it leads, is a web page", path="/moved")


def test_without_a_network_the_error_says_what_to_do(server):
    server.shutdown()
    server.server_close()
    refused(server, "can't be fetched", "refused", "try again with a network")


def test_an_unknown_host_is_named(server):
    with pytest.raises(OSError, match="^http://host.invalid/x: can't be fetched .*; try again with a network, or give"):
        download("http://host.invalid/x", "net.onnx")


def test_an_address_that_is_none_is_told(server, monkeypatch):
    monkeypatch.setenv("CSPKERAS_MIRROR", "folder/of/mine")
    with pytest.raises(OSError, match="^folder/of/mine/net.onnx: can't be fetched .unknown url type"):
        get(server)


def test_a_copy_damaged_in_the_cache_is_fetched_anew(server, caplog):
    get(server).write_bytes(CONTENT[:HALF])
    assert get(server).read_bytes() == CONTENT
    assert f"expected {SIZE:,} bytes, found {HALF:,}; removed, it is fetched anew" in caplog.text


def test_a_cache_that_cant_be_written_is_named(server, tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OSError, match=f"^{tmp_path}/home/cspkeras: can't be written .* set KERAS_HOME .*{server.url}"):
        get(server)


def test_a_cache_that_can_only_be_read_gives_what_it_has(server, monkeypatch):
    path = get(server)
    monkeypatch.setattr(module, "FileLock", None)
    assert get(server) == path


def test_chunks_that_break_off_are_told(server):
    server.ranges, server.chunked = False, True
    refused(server, "can't be fetched", "IncompleteRead")


def test_a_disk_that_fills_up_is_named_and_freed(server, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > HALF:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(type(part()), "open", lambda path, mode: Full(path, mode.replace("b", "")))
    refused(server, "the disk is full", f"the file has {SIZE:,} bytes", "set KERAS_HOME to a folder with room")
    assert not part().exists()


def test_two_at_once_fetch_a_file_once(server):
    with ThreadPoolExecutor() as pool:
        assert len(set(pool.map(lambda _: get(server), range(4)))) == 1
    assert len(server.requests) == 1


@pytest.mark.integration
def test_another_process_is_waited_for(server, caplog):
    cache_folder().mkdir(parents=True)
    code = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print(flush=True), sys.stdin.read()"
    lock = cache_folder() / ".net.onnx.lock"
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code, lock], **pipes) as process, ThreadPoolExecutor() as pool:
        process.stdout.readline()  # it holds the lock
        got = pool.submit(get, server)
        with pytest.raises(TimeoutError):
            got.result(timeout=0.5)
        assert server.requests == [] and "another process fetches it; waiting for that" in caplog.text
        process.communicate()
        assert got.result(timeout=10).read_bytes() == CONTENT
