"""Training on several machines: each reads its part of every batch, and all keep the same network.

Keras' distribution API on JAX: one process on each machine runs the same command. Loss, gradients and the batch-norms'
statistics are those of the whole batch, so the run is the same as on a single machine.
"""

import atexit
import contextlib
import hashlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

import keras
import numpy as np

from ...files import scratch
from .addresses import resolved

HEARTBEAT_TIMEOUT = 30  # seconds after which a silent worker counts as dead
START_TIMEOUT = 300  # seconds in which all workers must have started


def check_parts(batch_size, count, what):
    """Raise a ValueError for a batch that can't be split evenly among `count` devices; `what` is their name."""
    if not isinstance(batch_size, int) or batch_size % count:
        raise ValueError(f"batch_size must be a multiple of the {count} {what}. Received: {batch_size}")


def check_workers(addresses, rank, batch_size):
    """Raise a ValueError if workers can't train together; start nothing.

    `addresses` is a text such as "host1:port,host2:port", the first worker's port where the others find it; `rank` is
    the index of this process among them, `batch_size` that of all together.
    """
    if keras.config.backend() != "jax":
        needs = "--workers: needs the JAX backend, KERAS_BACKEND=jax with jax installed"
        raise ValueError(f"{needs}. Received: backend {keras.config.backend()!r}")
    if addresses is None:
        raise ValueError(f"--rank needs --workers, the addresses of all workers. Received: --rank {rank}")
    hosts = addresses.split(",")
    for address in hosts:
        resolved(address, "--workers")
    if len(set(hosts)) < max(2, len(hosts)):
        raise ValueError(f"--workers: expected two or more, each once. Received: {addresses}")
    if rank is None or not 0 <= rank < len(hosts):
        raise ValueError(f"--rank: must be 0 to {len(hosts) - 1}, one per worker. Received: {rank}")
    check_parts(batch_size, len(hosts), "workers")


@contextlib.contextmanager
def worker(addresses, rank, folder, batch_size, needed=()):
    """Be one of several workers in this block: a network that is built in it belongs to all of them.

    All workers must do the same in the block. The first writes the run's folder; what the others write is thrown away.

    Args:
        addresses, rank, batch_size: as `check_workers`.
        folder: the run's folder, on the first worker's machine.
        needed: names of files in it that the first worker sends to the others.

    Yields:
        The folder to write into.

    Raises:
        OSError: where the first worker does not start.
        RuntimeError: where another worker has ended.
        ValueError: for a batch that can't be split evenly among all devices.
    """
    import jax
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # it reads the images, and would take the memory
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    hosts = addresses.split(",")
    if rank:
        _wait_for(hosts[0])
    limits = dict(initialization_timeout=START_TIMEOUT, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT)
    jax.distributed.initialize(hosts[0], len(hosts), rank, **limits)  # keras.distribution.initialize has no limits
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # else JAX takes it as a notice and continues
    try:
        check_parts(batch_size, jax.device_count(), "devices")
        with scratch() as aside:
            own = Path(folder)
            if rank:
                own = aside / "run"  # `aside` itself is held already
                own.mkdir()
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
    """Wait until the first worker answers: without it JAX would abort the process."""
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with socket.create_connection(resolved(address, "--workers"), timeout=5):
                return
        except OSError as e:
            if time.monotonic() > end:
                raise OSError(f"--workers: {address}, rank 0, is not there after {START_TIMEOUT} seconds ({e})") from e
            time.sleep(1)


def share():
    """Return (rank, workers) of this process, its part of each batch; (0, 1) if it is alone."""
    if keras.distribution.distribution() is None:
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def broadcast_metrics(metrics):
    """Return the first worker's metrics, a dict, so that all workers take the same decisions."""
    if share()[1] == 1:
        return metrics
    values = _broadcast(np.array(list(metrics.values()), "float64").view("uint8")).view("float64")
    return dict(zip(metrics, values.tolist(), strict=True))


def align(model, about):
    """Give all workers the first one's weights; raise a ValueError where `about()` has another `repr` there."""
    rank, workers = share()
    if workers == 1:
        return
    mine = np.frombuffer(hashlib.sha256(repr(about()).encode()).digest(), "uint8")
    if (_broadcast(mine) != mine).any():
        raise ValueError(f"worker {rank} has another recipe, network or data than worker 0; start all with the same")
    for weight in model.weights:
        weight.assign(_broadcast(np.asarray(weight)))


def _send(source, target):
    """Copy a file of the first worker, if it exists, to the disk of each other one."""
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
    """Exit without JAX's shutdown barrier, which would wait for busy workers."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
