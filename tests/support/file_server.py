"""A server of one file on this machine, whose answers a test can spoil."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """A server that has the same file at every address but /moved, which leads to /login.

    Attributes:
        content: of the file; None: 404.
        ranges: whether it gives parts of it.
        chunked: whether it sends the file in chunks, of which the last never comes.
        breaks: for each answer to come, after how many bytes of the file it breaks off.
        requests: (address, range asked for) of all so far.
    """

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.ranges, self.chunked, self.breaks, self.requests = content, True, False, [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked))
        content, start = server.content, 0
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", f"{server.url}/login")
            self.end_headers()
            return
        if content is None:
            self.send_error(404)
            return
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(content) + content[: len(content) // 2])
            return
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : server.breaks.pop(0) if server.breaks else None])


@contextmanager
def serving(content):
    """Run a `FileServer` as long as the block lasts."""
    with FileServer(content) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
