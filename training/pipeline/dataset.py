"""Batches as a tf.data.Dataset, made by threads or by worker processes."""

import math
import threading
import weakref
from functools import partial

import numpy as np
import tensorflow as tf

from ...machine import memory
from ..data.example_tables import table_of
from ..data.images import decoding_threads
from ..production.pool import ProcessPool, ThreadPool, slots_of
from ..production.template import AVAILABLE, MOST_WORKERS, start_template
from .buffers import Buffers

MODULES = tuple(f"{__package__}.{name}" for name in ("detection", "classification"))  # of the makers of batches
FEW = 1000  # images that threads have decoded by the time that processes have started
PART = 4  # the images that worker processes hold may take the inverse of this of the memory


def training_dataset(make, data, shape, kinds, *, workers, start, dtype, report, run=0):
    """Return the endless batches of a training run.

    Args:
        make: picklable function of (examples, `checked` of `Images`, threads, report) that returns `Rows`.
        data: the data set.
        shape: of a batch's images, (rows, height, width, 3).
        kinds: for each of the batch's other arrays its (shape, dtype).
        workers: number of processes as `worker_count` takes it.
        start: number of the first batch.
        dtype: of the images: float32 in 0..1, or uint8 in 0..255.
        report: called once with each line.
        run: as for `ProcessPool`.
    """
    workers, report = worker_count(workers, len(data.examples), shape, run), _Once(report)
    checked = np.zeros(len(data.examples), bool)
    rows = make(data.examples, checked, decoding_threads(), report)
    rows.sample.load(0, np.random.default_rng(0))  # here, an error that concerns all images is still one line
    if workers:
        build = partial(make, table_of(data.examples), checked, 1)
        pool = ProcessPool(build, shape, workers, MODULES, report, run)
    else:
        pool = ThreadPool(rows, shape, decoding_threads())
    return batches_of(pool, shape, kinds, start=start, dtype=dtype)


def worker_count(workers, images, shape=(), run=0):
    """Return the number of data workers: of None one for each core, or 0 where threads do as well.

    These are data sets of few images, and systems other than Linux. A ValueError says that it is out of range, or that
    they would need too much memory for batches of `shape`.
    """
    if workers is None:
        cores = decoding_threads()
        return min(cores, _room(shape, run)) if AVAILABLE and cores > 1 and images >= FEW else 0
    if type(workers) is not int or not 0 <= workers <= MOST_WORKERS:
        raise ValueError(f"data workers must be a number from 0 to {MOST_WORKERS}. Received: {workers!r}")
    if workers and not AVAILABLE:
        raise ValueError(f"data workers are processes on Linux alone; take 0, for threads. Received: {workers}")
    if workers > (room := _room(shape, run)):
        raise ValueError(
            f"{workers} data workers need more than a {PART}th of the memory for their batches of {shape}; "
            f"take at most {room}, or a smaller batch"
        )
    return workers


def start_workers(workers, images):
    """Start what worker processes need, if there will be any, so that it is ready when the batches begin."""
    if worker_count(workers, images):
        start_template(MODULES)


def _room(shape, run):
    """Return how many workers' images the memory holds."""
    return int(min(MOST_WORKERS, memory() // PART // (slots_of(run) * math.prod(shape))))


def batches_of(pool, shape, kinds, *, start=0, stop=None, dtype="float32"):
    """Return a pool's batches in order; with `stop`, their number, each may have fewer images, and none is left out."""
    length = None if stop else shape[0]
    shapes = [(length, *shape[1:]), *((length, *shape) for shape, _ in kinds)]
    buffers = Buffers()
    finish = partial(as_floats if dtype == "float32" else _copied, buffers=buffers)

    @tf.autograph.experimental.do_not_convert  # else each call of the pool is looked at anew
    def batch(number):
        made = tf.numpy_function(lambda n: pool(int(n), finish), [number], [dtype, *(kind for _, kind in kinds)])
        return tuple(tf.ensure_shape(array, shape) for array, shape in zip(made, shapes, strict=True))

    dataset = tf.data.Dataset.range(start, stop or np.iinfo("int64").max).map(batch, num_parallel_calls=pool.ahead)
    for needed in (pool, buffers):  # all that is made of the dataset holds it; its function may live on for ever
        weakref.finalize(dataset, needed.close)
    if stop:
        dataset = dataset.filter(lambda image, *others: tf.shape(image)[0] > 0)
    return without_autotune(dataset.prefetch(2), threads=pool.ahead + 1)


class _Once:
    """A function that passes each line on once."""

    def __init__(self, report):
        self._report, self._told, self._lock = report, set(), threading.Lock()

    def __call__(self, line):
        with self._lock:
            if line not in self._told:
                self._told.add(line)
                self._report(line)


def as_floats(images, buffers):
    """Return uint8 images as float32 in 0..1, in a sixth of the time that TensorFlow takes for them."""
    return np.divide(images, np.float32(255), out=buffers.empty(images.shape, np.float32), dtype=np.float32)


def _copied(images, buffers):
    result = buffers.empty(images.shape, images.dtype)
    np.copyto(result, images)
    return result


def without_autotune(dataset, threads):
    """Give a data set threads of its own, in which it may wait, and no autotuner: that can delay the end of `fit`."""
    options = tf.data.Options()
    options.autotune.enabled = False  # by a minute
    options.threading.private_threadpool_size = threads
    return dataset.with_options(options)
