"""A data service: another machine decodes and augments the batches.

Each run has a connection, and on the server a pipeline that ends with it, so a run that is gone leaves nothing there.
Nothing that a client sends is read before it has shown that it knows the token. What travels is not encrypted: use it
in a private network.
"""

import gc
import secrets
import socket
from contextlib import suppress
from socketserver import BaseRequestHandler, TCPServer

import numpy as np

from ...connections import Connections
from ..data.examples import fingerprint
from ..pipeline.batches import batches
from .addresses import resolved
from .wire import NAME, VERSION, keep_alive, proven, receive, send

PATIENCE = 10  # seconds for a client that is known to say what it wants
WRONG = "the token is not that of the service"


class DataServer(Connections, TCPServer):
    """A server of a data set's training batches, for any number of runs, each with its own recipe.

    Args:
        data: `DetectionData` or `ClassificationData`.
        address: "host:port": the name by which clients find this machine, and the port.
        token: what they have to know.
        report: called with a line for each broken image of a run.

    Raises:
        OSError: where the port is taken.
        ValueError: for an address that is malformed or does not resolve.
    """

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    allow_reuse_address = True

    def __init__(self, data, address, token, report=print):
        self.data, self.address, self.token, self.report = data, address, token, report
        self.fingerprint = fingerprint(data)
        port = resolved(address, "--address")[1]
        try:
            super().__init__(("", port), _Run)
        except OSError as e:
            raise OSError(f"{address}: port {port} can't be opened ({e.strerror})") from e

    def server_bind(self):
        """Bind the port, for IPv4 and IPv6."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Run(BaseRequestHandler):
    """A connection, from which a run reads its batches."""

    def handle(self):
        keep_alive(self.request)
        nonce = secrets.token_hex()
        with suppress(EOFError, OSError, ValueError):  # it is gone, or no client
            send(self.request, {"service": NAME, "version": VERSION, "nonce": nonce})
            if not proven(self.request, self.server.token, nonce):
                return send(self.request, {"error": WRONG})
            self.server.welcome(self.request)
            self.request.settimeout(PATIENCE)
            send(self.request, {"data": self.server.fingerprint})
            wanted, _ = receive(self.request, arrays=False)
            self.request.settimeout(None)
            self._run(wanted)

    def _run(self, wanted):
        try:
            self._serve(**wanted)
        except Exception as e:  # whatever it is, the run is to say it
            line = str(getattr(e, "message", e)).partition("\n")[0]  # TensorFlow's has more of them
            send(self.request, {"error": line or type(e).__name__})
        finally:
            gc.collect()  # the pipeline's memory, which TensorFlow's functions hold in circles

    def _serve(self, size, batch_size, seed=0, start_step=0, augment=None, share=(0, 1)):
        how = dict(seed=seed, start_step=start_step, augment=augment, share=tuple(share))
        made = batches(self.server.data, tuple(size), batch_size, dtype="uint8", report=self.server.report, **how)
        names, spec = _flat(made.element_spec)
        shapes = [[np.dtype(one.dtype.as_numpy_dtype).str, one.shape.as_list()] for one in spec]
        send(self.request, {"targets": names, "batches": shapes})
        for batch in made.as_numpy_iterator():
            send(self.request, {}, _flat(batch)[1])


def _flat(batch):
    """Return the names of a batch's targets, None where it has but one, and its arrays."""
    images, targets = batch
    if isinstance(targets, dict):
        names = sorted(targets)
        return names, [images, *(targets[name] for name in names)]
    return None, [images, targets]
