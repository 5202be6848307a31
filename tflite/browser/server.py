"""Serve a page on this computer that runs a .tflite detector in the browser, by LiteRT.js."""

import hashlib
import io
import json
import mimetypes
import re
from base64 import b64encode
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

from ...connections import Connections
from ..export import metadata

VERSION = "2.5.3"  # of @litertjs/core and @litertjs/wasm-utils, with which this was tested
CDN = f"https://cdn.jsdelivr.net/npm/@litertjs/{{}}@{VERSION}/"
PACKAGES = ("core", "wasm-utils")
# The names by which a browser on this computer, or one that a tunnel leads to it, finds it. Any other is that of a page
# elsewhere, whose name was made to lead here so that its script may read what is served.
HOSTS = ("127.0.0.1", "localhost")
# A page that is isolated from others may use threads; it can't load them from elsewhere.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
CLOSED = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
IMAGE_POLICY = "default-src 'none'; sandbox"  # an SVG or an HTML file among the images runs nothing
PATIENCE = 10.0  # seconds without a byte


class PageServer(Connections, HTTPServer):
    """A server whose connections last for one answer, of five minutes at most."""

    patience = 300.0


def make_server(path, port: int = 8000, litert=None, images=None) -> PageServer:
    """Make a server of the page on 127.0.0.1; `serve_forever` runs it, `server_port` is its port.

    It answers this computer's browsers alone, by the names in `HOSTS`, and lets the page load no script but its own and
    LiteRT.js.

    Args:
        path: a .tflite by `cspkeras.tflite.convert`. It is read at every request, so that a new one needs only a
            reload.
        port: 0 for any free port.
        litert: the folder node_modules/@litertjs of `npm install @litertjs/core`, for a computer without internet
            access, and for more than one thread. By default the browser loads LiteRT.js from a public network.
        images: a folder whose images the page may open, by `?image=images/NAME`.

    Raises:
        OSError: the port is taken, or a file or folder is missing.
        ValueError: the file is not a .tflite with a detector's settings.
    """
    settings, _ = metadata.read(path)
    if settings.get("task") != "detection":
        raise ValueError(f"{path}: its task is {settings.get('task')}, expected detection")
    folders = {"images": images, "litert": litert}
    if litert and not all(Path(litert, package, "dist/index.js").is_file() for package in PACKAGES):
        raise FileNotFoundError(
            f"{litert}: no LiteRT.js; expected node_modules/@litertjs of `npm install @litertjs/core`"
        )
    try:
        return PageServer(("127.0.0.1", port), partial(_Handler, Path(path), folders))
    except OSError as error:
        raise OSError(f"port {port} can't be used ({error.strerror}); name another with --port") from error


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE

    def __init__(self, model, folders, *arguments):
        self.model, self.folders = model, folders
        super().__init__(*arguments)

    def do_GET(self):
        self.answer(self.connection.sendfile)

    def do_HEAD(self):
        self.answer(lambda content: None)

    def answer(self, send):
        """Answer with what the path names; `send(content)` sends it."""
        host = self.headers.get("Host", "")
        if host.partition(":")[0].lower() not in HOSTS:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, f"Answers to {' and '.join(HOSTS)} alone")
            return
        name = unquote(self.path.partition("?")[0]).lstrip("/") or "index.html"
        try:
            content = self.find(name)
        except (OSError, ValueError):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with content, suppress(OSError):  # of a page that was closed
            self.send_response(HTTPStatus.OK)
            for header in self.headers_of(name, content).items():
                self.send_header(*header)
            self.end_headers()
            send(content)

    def headers_of(self, name, content):
        """Return the headers of a file that is served."""
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        length = content.seek(0, io.SEEK_END)
        content.seek(0)
        headers = {"Content-Type": kind or "application/octet-stream", "Content-Length": str(length)} | CLOSED
        headers["Content-Security-Policy"] = IMAGE_POLICY if name.startswith("images/") else _policy(self.page())
        return headers | ISOLATED if self.folders["litert"] else headers

    def find(self, name):
        """Open what a path names; raise an OSError or ValueError if there is nothing to serve."""
        if name == "model.tflite":
            return self.model.open("rb")
        if name == "index.html":
            return io.BytesIO(self.page())
        folder, _, rest = name.partition("/")
        if not rest:
            return (files(__package__) / "page" / name).open("rb")
        root = Path(self.folders.get(folder) or _refuse(name)).resolve()
        file = (root / rest).resolve()
        return file.open("rb") if file.is_relative_to(root) and file.is_file() else _refuse(name)

    def page(self):
        """Return the page, which knows where LiteRT.js is."""
        where = "/litert/{}/" if self.folders["litert"] else CDN
        imports = {f"@litertjs/{package}": f"{where.format(package)}dist/index.js" for package in PACKAGES}
        page = (files(__package__) / "page" / "index.html").read_bytes()
        return page.replace(b"IMPORTS", json.dumps({"imports": imports}).encode(), 1)

    def log_message(self, *arguments):
        """Requests are not logged."""


def _refuse(name):
    raise ValueError(f"{name} is not served")


def _policy(page):
    """Return the Content-Security-Policy of a page: the scripts and the style in it, and LiteRT.js from where it is."""
    parts = {kind: " ".join(_hashes(page, kind)) for kind in (b"script", b"style")}
    elsewhere = " ".join(url for url in map(CDN.format, PACKAGES) if url.encode() in page)
    rules = {
        "default-src": "'none'",
        "script-src": f"'self' 'wasm-unsafe-eval' {parts[b'script']} {elsewhere}",
        "style-src": parts[b"style"],
        "connect-src": f"'self' {elsewhere}",
        "img-src": "'self'",
        "worker-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{name} {value.strip()}" for name, value in rules.items())


def _hashes(page, kind):
    for content in re.findall(rb"<%b\b[^>]*>(.*?)</%b>" % (kind, kind), page, re.DOTALL):
        yield f"'sha256-{b64encode(hashlib.sha256(content).digest()).decode()}'"
