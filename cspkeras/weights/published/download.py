"""Download a published file into a cache: resumed after a break, proven, and never by two processes at once.

The cache is the folder cspkeras in Keras' own: $KERAS_HOME, by default ~/.keras. $CSPKERAS_MIRROR is the address of a
folder that holds the files by their names, in place of the hosts that publish them. Those of the Hugging Face Hub are
fetched by its own client (`hub`), whose variables are $HF_HOME and $HF_ENDPOINT.
"""

import hashlib
import http
import http.client
import logging
import os
import re
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...files import DISK_FULL
from ...limits import DOWNLOAD
from ...progress import progress
from ..impostors import impostor

CHUNK, HEAD = 1 << 18, 1 << 10  # bytes
TIMEOUT = 30.0  # seconds without an answer
PAUSE = 2.0  # seconds before what broke off is resumed
# Some hosts answer 403 to what doesn't call itself a browser.
HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; cspkeras)", "Accept-Encoding": "identity"}
log = logging.getLogger("cspkeras")


class Impostor(OSError):
    """What was received is not the published file."""


def cache_folder() -> Path:
    """Return the folder that keeps the downloaded files."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "cspkeras"


def address(url: str, name: str) -> str:
    """Return where a file is fetched from: its own address, or that of its name on the mirror."""
    mirror = os.environ.get("CSPKERAS_MIRROR")
    return f"{mirror.rstrip('/')}/{name}" if mirror else url


def download(url: str, name: str, size: int | None = None, checksum: str | None = None) -> Path:
    """Return the path of a file in the cache; fetch it if it isn't there, or not as published.

    Args:
        url: its address.
        name: its name in the cache and on a mirror.
        size: in bytes; None: not known.
        checksum: KIND:DIGEST, of which the first digits suffice; KIND is one of hashlib's, or "git". None: not known.

    Returns:
        The path.

    Raises:
        OSError: in one line with the address: no network, no such file, another file, a cache that can't be written, a
            full disk.

    Example:
        >>> from cspkeras.weights.published.download import download
        >>> download("https://example.org/x.onnx", "x.onnx", 3_659_407)  # doctest: +SKIP
        PosixPath('/home/me/.keras/cspkeras/x.onnx')
    """
    path, url = cache_folder() / name, address(url, name)
    instead = f"give the path of a copy of {name} as weights"
    if path.exists() and not _fault(path, size, checksum):  # without the lock, since the cache may be read-only
        return path
    with _locked(path, f"set KERAS_HOME to another folder, or {instead}: {url}"):
        if path.exists():
            if not (fault := _fault(path, size, checksum)):
                return path
            path.unlink()
            log.warning("%s: %s; removed, it is fetched anew", path, fault)
        part = path.with_name(f".part.{name}")
        if not checksum:  # what nothing proves isn't joined of pieces of different days
            part.unlink(missing_ok=True)
        try:
            _receive(url, part, size)
            if fault := _fault(part, size, checksum):
                raise Impostor(fault)
            os.replace(part, path)
        except Impostor as e:
            part.unlink(missing_ok=True)
            raise OSError(f"{url}: {e}; removed, {instead}") from e
        except (OSError, http.client.HTTPException, ValueError) as e:
            if getattr(e, "errno", None) in DISK_FULL:
                part.unlink(missing_ok=True)
                more = f"the file has {size:,} bytes; " if size else ""
                raise OSError(
                    f"{path.parent}: can't be written, the disk is full; {more}set KERAS_HOME to a folder with room, "
                    f"or {instead}: {url}"
                ) from e
            raise OSError(f"{url}: can't be fetched ({_reason(e)}); try again with a network, or {instead}") from e
    return path


@contextmanager
def _locked(path, instead):
    """Hold the lock of a file in the cache, which the system releases if the process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            log.warning("%s: another process fetches it; waiting for that", path)
            lock.acquire()
    except OSError as e:
        raise OSError(f"{path.parent}: can't be written ({e.strerror or e}); {instead}") from e
    try:
        yield
    finally:
        lock.release()


def _receive(url, part, size):
    """Fetch an address into `part`, which may hold the beginning already; resume as long as something arrives."""
    while (before := part.stat().st_size if part.exists() else 0) != size:
        try:
            return _append(url, part, before, size)
        except urllib.error.HTTPError as e:
            if e.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                raise
            part.unlink()  # it is longer than the file
        except (OSError, http.client.HTTPException) as e:
            stuck = not part.exists() or part.stat().st_size <= before
            if stuck or isinstance(e, Impostor) or getattr(e, "errno", None) in DISK_FULL:
                raise
            time.sleep(PAUSE)


def _append(url, part, before, size):
    """Fetch what is missing of a file, all of it where the server doesn't give parts."""
    request = urllib.request.Request(url, headers=HEADERS | ({"Range": f"bytes={before}-"} if before else {}))
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT or not start or int(start[1]) != before:
            before = 0
        length = answer.headers.get("Content-Length")
        total = before + int(length) if length else None
        if not before:
            part.write_bytes(answer.read(HEAD))
            if kind := impostor(part):
                moved = f"{answer.url}, to which it leads, is " if answer.url != url else ""
                raise Impostor(f"{moved}{kind}")
        if None not in (size, total) and size != total:
            raise Impostor(f"expected {size:,} bytes, the server has {total:,}")
        if size is None:
            DOWNLOAD.check(total or 0, "the file")
        with part.open("ab") as file, _progress(url, total) as tell:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                tell(file.tell())
                if size is not None and file.tell() > size:
                    raise Impostor(f"expected {size:,} bytes, the server sends more")
                if size is None:
                    DOWNLOAD.check(file.tell(), "the file")
            received = file.tell()
    if received < (total or 0):
        raise ConnectionError(f"it broke off after {received:,} of {total:,} bytes")


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__


def _fault(path, size, checksum):
    """Return where a file differs from the size or the checksum, None where it has both."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"expected {size:,} bytes, found {found:,}"
    if checksum:
        kind, _, stated = checksum.partition(":")
        digest = hashlib.new("sha1" if kind == "git" else kind)
        if kind == "git":
            digest.update(b"blob %d\0" % found)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        if not digest.hexdigest().startswith(stated):
            return f"expected {kind} {stated}, found {digest.hexdigest()}: damaged on the way, or another file"
    return None


@contextmanager
def _progress(url, total):
    """Yield a function of the number of bytes so far: a line on a terminal, else one line at the beginning."""
    of = f"{total / 1e6:.1f} MB" if total else "an unknown size"
    if not sys.stderr.isatty():
        log.warning("fetching %s, %s", url, of)
    with progress(f"fetching {url}, {of}", total, patience=0) as tell:
        yield tell
