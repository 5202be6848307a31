"""Threads for the connections of a server: so many at most, and none that says nothing for ever."""

import socket
import time
from contextlib import suppress
from socketserver import ThreadingMixIn


class Connections(ThreadingMixIn):
    """A mixin of a socketserver: a thread for each connection, which is a stranger's until `welcome`.

    There are `most` strangers at most: one more ends the oldest. A stranger of more than `patience` seconds is ended
    too. So whoever opens connections and says nothing keeps nobody else out, and takes little memory.
    """

    daemon_threads = True
    request_queue_size = 256  # connections that wait for a thread; beyond them a client tries again after a second
    most, patience = 64, 10.0

    def __init__(self, *arguments):
        self._open, self._strangers = set(), {}  # of these the time of each one's end, the oldest first
        super().__init__(*arguments)

    @property
    def connections(self):
        """Number of open connections."""
        return len(self._open)

    def welcome(self, connection):
        """Let a connection last."""
        self._strangers.pop(connection, None)

    def end(self, connection):
        """End a connection: its thread, which may wait for it, closes it."""
        self.welcome(connection)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request, client_address):
        """Serve a connection in a thread of its own."""
        self._open.add(request)
        self._strangers[request] = time.monotonic() + self.patience
        if len(self._strangers) > self.most:
            self.end(next(iter(self._strangers)))
        super().process_request(request, client_address)

    def service_actions(self):
        """End the strangers whose time is over; `serve_forever` calls this twice per second."""
        for connection, end in list(self._strangers.items()):
            if end < time.monotonic():
                self.end(connection)

    def shutdown_request(self, request):
        """Close a connection."""
        self._open.discard(request)
        self.welcome(request)
        super().shutdown_request(request)

    def close(self):
        """End `serve_forever`, which runs in another thread, and all connections."""
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            self.end(connection)

    def handle_error(self, request, client_address):
        """Say nothing of a connection that broke."""
