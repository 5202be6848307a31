"""The batches of a data service, which another machine decodes and augments: the same as those made here."""

import socket
from contextlib import suppress

import numpy as np
import tensorflow as tf

from ..data.examples import fingerprint
from ..pipeline.buffers import Buffers
from ..pipeline.dataset import as_floats, without_autotune
from ..production.ending import ends_with_the_process
from .addresses import resolved
from .wire import NAME, VERSION, keep_alive, receive, send

OPTION = "--data-service"
PATIENCE = 10  # seconds for a service to answer


def check_service(address, data=None):
    """Raise an OSError if no `DataServer` answers, a ValueError for a wrong address or where it serves other data."""
    connection, known = _connected(address)
    connection.close()
    if data and known != fingerprint(data):
        raise ValueError(f"{OPTION} {address}: serves other images, labels or classes than --data has for training")


def served(address, size, batch_size, **options):
    """Return `batches` of a `DataServer`'s data, decoded and augmented there, equal to those made here.

    The options are seed, start_step, augment and share, as in `training_batches`. OSError: no server answers, or it
    ends. ValueError: it refuses what is asked for.
    """
    wanted = dict(size=size, batch_size=batch_size, **options)
    waiting = [_Stream(address, wanted)]  # for the first iterator; each later one asks anew
    names, (images, *others) = waiting[0].names, waiting[0].spec
    buffers = Buffers()

    def arriving():
        stream = waiting.pop() if waiting else _Stream(address, wanted)
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

    def __init__(self, address, wanted):
        self._address, (self._connection, _) = address, _connected(address)
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


def _connected(address):
    """Return a connection to a service, and the fingerprint of its data."""
    where = resolved(address, OPTION)
    try:
        connection = socket.create_connection(where, PATIENCE)
        keep_alive(connection)
        hello, _ = receive(connection)
        if (hello.get("service"), hello.get("version")) != (NAME, VERSION):
            raise ValueError(f"its greeting is {hello}, expected {NAME!r} of version {VERSION}")
        return connection, hello["data"]
    except (EOFError, OSError, ValueError) as e:
        raise OSError(f"{OPTION} {address}: no `cspkeras data serve` answers there ({e})") from e
