"""Serve a page on this computer that runs a .tflite detector in the browser, by LiteRT.js."""

import contextlib
import json
import mimetypes
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

from ..export import metadata

VERSION = "2.5.3"  # of @litertjs/core and @litertjs/wasm-utils, with which this was tested
CDN = f"https://cdn.jsdelivr.net/npm/@litertjs/{{}}@{VERSION}/dist/index.js"
PACKAGES = ("core", "wasm-utils")
# A page that is isolated from others may use threads; it can't load them from elsewhere.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


def make_server(path, port: int = 8000, litert=None, images=None) -> ThreadingHTTPServer:
    """Make a server of the page on 127.0.0.1; `serve_forever` runs it, `server_port` is its port.

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
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, Path(path), folders))
    except OSError as error:
        raise OSError(f"port {port} can't be used ({error.strerror}); name another with --port") from error


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, model, folders, *arguments):
        self.model, self.folders = model, folders
        super().__init__(*arguments)

    def do_GET(self):
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        try:
            content = self.find(name)
        except (OSError, ValueError):
            self.send_error(404)
            return
        self.send_response(200)
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        headers = {"Content-Type": kind or "application/octet-stream", "Content-Length": str(len(content))}
        for header in (headers | ISOLATED if self.folders["litert"] else headers).items():
            self.send_header(*header)
        with contextlib.suppress(ConnectionError):  # of a page that was closed
            self.end_headers()
            self.wfile.write(content)

    def find(self, name):
        """Return the bytes of what a path names; raise an OSError or ValueError if there is nothing to serve."""
        if name == "model.tflite":
            return self.model.read_bytes()
        folder, _, rest = name.partition("/")
        if rest:
            root = Path(self.folders.get(folder) or _refuse(name)).resolve()
            file = (root / rest).resolve()
            return file.read_bytes() if file.is_relative_to(root) else _refuse(name)
        content = (files(__package__) / "page" / name).read_bytes()
        if name == "index.html":
            where = "/litert/{}/dist/index.js" if self.folders["litert"] else CDN
            imports = {f"@litertjs/{package}": where.format(package) for package in PACKAGES}
            content = content.replace(b"IMPORTS", json.dumps({"imports": imports}).encode(), 1)
        return content

    def log_message(self, *arguments):
        """Requests are not logged."""


def _refuse(name):
    raise ValueError(f"{name} is not served")
