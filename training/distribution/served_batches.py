"""The batches of a data service, which another machine decodes and augments: the same as those made here."""

import socket
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from ..data.examples import fingerprint
from ..pipeline.buffers import Buffers
from ..pipeline.dataset import as_floats, without_autotune
from ..production.ending import ends_with_the_process
from .addresses import resolved
from .tokens import OPTION as TOKEN
from .tokens import VARIABLE
from .wire import NAME, VERSION, keep_alive, proof, receive, send

OPTION = "--data-service"
PATIENCE = 10  # seconds for a service to answer


@dataclass(frozen=True)
class Service:
    """A `DataServer`'s address, "host:port", and its token."""

    address: str
    token: str | None = field(repr=False)


def check_service(service, data=None):
    """Raise an OSError if no `DataServer` answers; a ValueError for a wrong address, token or data.

    `service` is a `Service`, `data` what it must serve, if known.
    """
    connection, known = _connected(service)
    connection.close()
    if data and known != fingerprint(data):
        raise ValueError(
            f"{OPTION} {service.address}: serves other images, labels or classes than --data has for training"
        )


def served(service, size, batch_size, **options):
    """Return `batches` of a `Service`'s data, decoded and augmented there, equal to those made here.

    The options are seed, start_step, augment and share, as in `training_batches`. OSError: no server answers, or it
    ends. ValueError: it refuses what is asked for.
    """
    wanted = dict(size=size, batch_size=batch_size, **options)
    waiting = [_Stream(service, wanted)]  # for the first iterator; each later one asks anew
    names, (images, *others) = waiting[0].names, waiting[0].spec

    def arriving():
        buffers, stream = Buffers(), waiting.pop() if waiting else _Stream(service, wanted)
        try:
            while True:
                images, *targets = stream.batch()
                yield as_floats(images, buffers), *targets
        finally:
            stream.close()

    def named(images, *targets):
        return images, dict(zip(names, targets, strict=True)) if names else targets[0]

    made = tf.data.Dataset.from_generator(arriving, output_signature=(tf.TensorSpec(images.shape), *others))
    return without_autotune(made.map(named).prefetch(2), threads=2)


class _Stream:
    """The batches that a service sends, and what they are: `names` of the targets, `spec` of the arrays."""

    def __init__(self, service, wanted):
        self._address, (self._connection, _) = service.address, _connected(service)
        send(self._connection, wanted)
        self._connection.settimeout(None)  # the first image may be slow
        about, _ = self._received()
        self.names = about["targets"]
        self.spec = [tf.TensorSpec(shape, np.dtype(dtype)) for dtype, shape in about["batches"]]
        ends_with_the_process(self)

    def batch(self):
        """Return the arrays of the next batch."""
        return self._received()[1]

    def close(self):
        """End it, also where another thread waits for a batch."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _received(self):
        try:
            header, arrays = receive(self._connection)
        except (EOFError, OSError, ValueError) as e:
            again = "continue the run with --resume once it answers"
            raise OSError(f"{OPTION} {self._address}: the data service has ended ({e}); {again}") from e
        if "error" in header:
            raise ValueError(f"{OPTION} {self._address}: {header['error']}")
        return header, arrays


def _connected(service):
    """Return a connection to a service, which knows that the token is known here, and the fingerprint of its data."""
    address, where = service.address, resolved(service.address, OPTION)
    if not service.token:
        known = f"set {VARIABLE} to the token that `cspkeras data serve` shows, or give a file of it as {TOKEN}"
        raise ValueError(f"{OPTION} {address}: needs a token; {known}")
    try:
        connection = socket.create_connection(where, PATIENCE)
        keep_alive(connection)
        hello, _ = receive(connection)
        if (hello.get("service"), hello.get("version")) != (NAME, VERSION):
            raise ValueError(f"its greeting is {hello}, expected {NAME!r} of version {VERSION}")
        connection.sendall(proof(service.token, hello["nonce"]))
        answer, _ = receive(connection)
    except (EOFError, OSError, ValueError) as e:
        raise OSError(f"{OPTION} {address}: no `cspkeras data serve` answers there ({e})") from e
    if "error" in answer:
        connection.close()
        raise ValueError(f"{OPTION} {address}: {answer['error']}; {VARIABLE} or {TOKEN} has to be what it shows")
    return connection, answer["data"]
