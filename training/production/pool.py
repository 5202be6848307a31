"""Batches by their numbers, made by threads of this process or by worker processes, the same to the bit.

A pool is called with a number by as many threads as may ask ahead, and each call waits for its batch.
"""

import contextlib
import os
import pickle
import socket
import threading

import numpy as np

from .ending import ends_with_the_process
from .memory import mapped, new_memory, pack
from .template import fork_worker
from .worker import FAILED, REPORT

ATTEMPTS = 3  # processes that may end over one batch


class Stopped(RuntimeError):
    """A batch was asked for after the end."""


class ThreadPool:
    """A pool of the threads that call it.

    Args:
        make: function of (a batch's number, a uint8 array (rows, height, width, 3) for its images) that returns the
            count of images and the batch's other arrays. It stops early where its attribute `stopped` becomes true.
        shape: (rows, height, width, 3).
        ahead: number of threads that make batches.
    """

    def __init__(self, make, shape, ahead):
        self._make, self._shape, self.ahead = make, shape, ahead
        ends_with_the_process(self)

    def __call__(self, number, finish):
        """Return [`finish` of the batch's images, its other arrays]."""
        images = np.empty(self._shape, np.uint8)
        count, others = self._make(number, images)
        return [finish(images[:count]), *others]

    def close(self):
        """Let all calls end with `Stopped`, soon."""
        self._make.stopped = True


class ProcessPool:
    """A pool of worker processes.

    Args:
        build: a picklable function that makes the `make` of `ThreadPool`, given a function that is called with a line
            for everything worth knowing.
        shape: as for `ThreadPool`.
        workers: number of processes.
        modules: names of those that the processes import ahead.
        report: called with each line, once, whichever process it comes from.
        run: how many batches in a row one worker makes, since it keeps what they share; 0 where they share nothing.
    """

    def __init__(self, build, shape, workers, modules, report, run=0):
        self._shape, self._modules, self._report, self._run = shape, modules, report, run
        # A few more than there are workers, so that none waits for one that takes long.
        self._slots = slots_of(run)
        self.ahead = self._slots * workers if run else min(self._slots * workers, workers + workers // 2 + 2)
        self._changed, self._closed = threading.Condition(), False
        self._description, self._workers, self._replaced = None, [], 0
        ends_with_the_process(self)
        try:
            self._description = pack((build, shape))
            for _ in range(workers):
                self._workers.append(self._new_worker())
        except OSError as e:
            self.close()
            raise OSError(f"{workers} data workers can't be started ({e.strerror or e}); take fewer, or none") from e

    def __call__(self, number, finish):
        """Return [`finish` of the batch's images, its other arrays]."""
        for _ in range(ATTEMPTS):
            worker, slot = self._free_slot(number)
            try:
                kind, made = worker.answer(slot, number, self._report)
                if kind == FAILED:
                    raise made
                count, others = made
                return [finish(worker.images[slot, :count]), *others]
            except (EOFError, ConnectionError, pickle.UnpicklingError):
                self._replace(worker)
            finally:
                with self._changed:
                    worker.free.append(slot)
                    self._changed.notify_all()
        raise RuntimeError(
            f"{ATTEMPTS} data workers have ended while they made batch {number}, killed or out of memory; "
            "take fewer data workers, or 0 for none"
        )

    def close(self):
        """End the processes, and let all calls end with `Stopped`."""
        with self._changed:
            if not self._closed and self._description is not None:
                os.close(self._description)
            self._closed = True
            for worker in self._workers:
                worker.close()
            self._workers = []  # their memory goes with the last call that takes a batch of it
            self._changed.notify_all()

    __del__ = close

    def _free_slot(self, number):
        with self._changed:
            while not self._closed:
                mine = number // self._run % len(self._workers) if self._run else None
                free = [w for w in (self._workers if mine is None else [self._workers[mine]]) if w.free]
                if free:
                    worker = max(free, key=lambda one: len(one.free))
                    return worker, worker.free.pop(0)
                self._changed.wait()
        raise Stopped("the data pipeline has ended")

    def _new_worker(self):
        return _Worker(self._modules, self._description, self._shape, self._slots)

    def _replace(self, worker):
        with self._changed:
            if self._closed:
                raise Stopped("the data pipeline has ended")
            if worker not in self._workers:
                return  # the call that waited for its other slot has done so
            worker.close()
            self._workers[self._workers.index(worker)] = self._new_worker()
            self._replaced += 1
            line = f"a data worker has ended, killed or out of memory, and is replaced: number {self._replaced}"
        self._report(line)


def slots_of(run):
    """Return how many batches a worker holds: those that it makes in a row, and one that is fetched meanwhile."""
    return 1 + max(1, run)


class _Worker:
    """A worker process as this process sees it."""

    def __init__(self, modules, description, shape, slots):
        self.free = list(range(slots))
        self._asking, self._answering = threading.Lock(), threading.Lock()
        memory = new_memory(slots * int(np.prod(shape, dtype=np.int64)))
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                fork_worker(modules, [theirs.fileno(), description, memory])
            self.images = mapped(memory).reshape(slots, *shape)
        finally:
            os.close(memory)
        self._stream = self._socket.makefile("rwb")

    def answer(self, slot, number, report):
        """Ask for a batch and return the answer; several threads may do so, and the worker answers them in turn."""
        with self._asking:
            self._stream.write(pickle.dumps((slot, number)))
            self._stream.flush()
            self._answering.acquire()
        try:
            while True:
                kind, content = pickle.load(self._stream)
                if kind != REPORT:
                    return kind, content
                report(content)
        finally:
            self._answering.release()

    def close(self):
        """End the process, and each thread's wait for its answer; may be called several times."""
        with contextlib.suppress(OSError):  # it may have ended itself
            self._socket.shutdown(socket.SHUT_RDWR)
