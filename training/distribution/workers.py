"""Training on several machines: each reads its part of every batch, and all keep the same network.

Keras' distribution API over JAX: a process a machine runs the same command. Loss, gradients and the batch-norms'
statistics are those of the whole batch, so the run is the one that a single machine would make.
"""

import atexit
import contextlib
import hashlib
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from .addresses import resolved

SILENCE = 30  # seconds after which a worker that is not heard of counts as dead
PATIENCE = 300  # seconds in which all workers must have started


def check_parts(batch_size, count, what):
    """Raise a ValueError for a batch that can't be shared out evenly among `count` of what `what` says."""
    if not isinstance(batch_size, int) or batch_size % count:
        raise ValueError(f"batch_size must be a multiple of the {count} {what}. Received: {batch_size}")


def check_workers(addresses, rank, batch_size):
    """Raise an error where workers can't train together; nothing is started.

    Args:
        addresses: a text such as "host1:port,host2:port"; the first worker's port is where the others find it.
        rank: which of them this process is, from 0.
        batch_size: images a step, of all workers together.

    Raises:
        ValueError: for an address that is none or does not resolve, a rank out of range, another backend than JAX, and
            a batch that can't be shared out evenly.
    """
    if keras.config.backend() != "jax":
        needs = "--workers: needs the JAX backend, KERAS_BACKEND=jax with jax installed"
        raise ValueError(f"{needs}. Received: {keras.config.backend()}")
    if addresses is None:
        raise ValueError(f"--rank {rank}: of which --workers? Expected both or none")
    hosts = addresses.split(",")
    for address in hosts:
        resolved(address, "--workers")
    if len(set(hosts)) < max(2, len(hosts)):
        raise ValueError(f"--workers: expected two or more, each once. Received: {addresses}")
    if rank is None or not 0 <= rank < len(hosts):
        raise ValueError(f"--rank: must be 0 to {len(hosts) - 1}, one a worker. Received: {rank}")
    check_parts(batch_size, len(hosts), "workers")


@contextlib.contextmanager
def worker(addresses, rank, folder, batch_size, needed=()):
    """Be one of several workers in this block: what is built there is the network of all of them.

    Every worker must do the same in it. The first writes the run's folder; what the others write is thrown away.

    Args:
        addresses, rank, batch_size: as `check_workers`.
        folder: the run's folder, that of the first worker.
        needed: names of the files in it that the other workers need.

    Yields:
        The folder to write into.

    Raises:
        OSError: where the first worker does not start.
        RuntimeError: where another worker has ended.
        ValueError: for a batch that can't be shared out evenly among all devices.
    """
    import jax
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # it reads the images, and would take the memory
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    hosts = addresses.split(",")
    if rank:
        _wait_for(hosts[0])
    limits = dict(initialization_timeout=PATIENCE, heartbeat_timeout_seconds=SILENCE)
    jax.distributed.initialize(hosts[0], len(hosts), rank, **limits)  # keras.distribution.initialize has no limits
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # JAX takes it for a notice, and goes on
    try:
        check_parts(batch_size, jax.device_count(), "devices")
        with tempfile.TemporaryDirectory() as scratch:
            own = Path(folder if rank == 0 else scratch)
            for name in needed:
                _send(Path(folder) / name, own / name)
            with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
                yield own
    except BaseException as e:
        atexit.register(_leave)
        if "Gloo" in str(e):
            last = str(e).splitlines()[0]
            raise RuntimeError(f"another worker has ended; start all of them again, with --resume ({last})") from e
        raise


def _wait_for(address):
    """Return when the first worker is there: JAX, where it isn't, aborts the process."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(resolved(address, "--workers"), timeout=5):
                return
        except OSError as e:
            if time.monotonic() > end:
                raise OSError(f"--workers: {address}, rank 0, is not there after {PATIENCE} seconds ({e})") from e
            time.sleep(1)


def share():
    """(rank, workers) of this process: which part of each batch it reads; (0, 1) where it is alone."""
    if keras.distribution.distribution() is None:
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def agreed(figures):
    """A dict of figures as the first worker has them: what is decided by them is then decided alike."""
    if share()[1] == 1:
        return figures
    values = _broadcast(np.array(list(figures.values()), "float64").view("uint8")).view("float64")
    return dict(zip(figures, values.tolist(), strict=True))


def align(model, about):
    """Give all workers the first one's weights.

    Raises:
        ValueError: where what a run is, the text of `about`, differs from the first worker's.
    """
    rank, workers = share()
    if workers == 1:
        return
    mine = np.frombuffer(hashlib.sha256(repr(about).encode()).digest(), "uint8")
    if (_broadcast(mine) != mine).any():
        raise ValueError(f"worker {rank} has another recipe, network or data than worker 0; start all with the same")
    for weight in model.weights:
        weight.assign(_broadcast(np.asarray(weight)))


def _send(source, target):
    """Copy a file of the first worker, where there is one, to each other's own disk."""
    import jax

    first = jax.process_index() == 0
    content = np.frombuffer(source.read_bytes() if first and source.exists() else b"", "uint8")
    size = int(_broadcast(np.array([len(content)], "int32"))[0])
    content = _broadcast(content if first else np.zeros(size, "uint8"))
    if not first and size:
        target.write_bytes(content.tobytes())


def _broadcast(array):
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return np.asarray(broadcast_one_to_all(array))


def _leave():
    """End without the farewell that JAX waits for: the others, in the middle of a step, won't answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
