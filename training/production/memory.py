"""Memory that processes share without a name: nothing is left of it in /dev/shm, however they end.

Linux' `memfd`: containers often have no more than 64 MB in /dev/shm, and a name there outlives killed processes.
"""

import mmap
import os
import pickle

import numpy as np

ALIGNMENT = 64  # bytes


def new_memory(size):
    """Return a file descriptor of `size` bytes of memory, 0 at first; a page that is never used takes no room."""
    memory = os.memfd_create("batches")
    try:
        os.truncate(memory, max(1, size))
    except OSError:
        os.close(memory)
        raise
    return memory


def mapped(memory):
    """Return the bytes of `new_memory`, a writable (N,) uint8 array that all processes share."""
    return np.frombuffer(mmap.mmap(memory, 0), np.uint8)


def pack(value):
    """Return `new_memory` that holds a picklable value; its arrays' values lie side by side, ready to be used."""
    buffers = []
    pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [np.frombuffer(part, np.uint8) for part in (pickled, *(buffer.raw() for buffer in buffers))]
    head = np.array([len(parts), *(len(part) for part in parts)], np.int64)
    memory = new_memory(_ends(head)[-1])
    shared = mapped(memory)
    shared[: head.nbytes] = head.view(np.uint8)
    for part, end in zip(parts, _ends(head)[1:], strict=True):
        shared[end - len(part) : end] = part
    return memory


def unpack(memory):
    """Return the value of `pack`; what one process writes into its arrays, all others see."""
    shared = mapped(memory)
    count = int(shared[:8].view(np.int64)[0])
    head = shared[: 8 * (1 + count)].view(np.int64)
    pickled, *buffers = (shared[end - size : end] for size, end in zip(head[1:], _ends(head)[1:], strict=True))
    return pickle.loads(pickled, buffers=buffers)


def _ends(head):
    """Return where the head and each part end, each part at an aligned place."""
    ends = [head.nbytes]
    for size in head[1:].tolist():
        ends.append(-(-ends[-1] // ALIGNMENT) * ALIGNMENT + size)
    return ends
