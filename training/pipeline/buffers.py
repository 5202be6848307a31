"""Arrays of batches whose memory is used again, since new pages take three times as long as the work on them."""

import math
import mmap
import weakref
from collections import deque

import numpy as np


class Buffers:
    """Memory for arrays; that of an array which nobody holds any more, nor a view of it, is that of a later one.

    It begins with a page, so that TensorFlow takes the arrays without a copy. Threads may share a `Buffers`.
    """

    def __init__(self):
        self._free, self._closed = deque(), False

    def close(self):
        """Give the memory back, also that of arrays which are still held, as soon as nobody holds them."""
        self._closed = True
        self._free.clear()

    def empty(self, shape, dtype):
        """Return an array of any content."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._memory(size)
        # NumPy's views hold the array that is nearest to the memory, so that one is watched.
        whole = np.frombuffer(memory, np.uint8)
        weakref.finalize(whole, self._take_back, memory).atexit = False
        return whole[:size].view(dtype).reshape(shape)

    def _take_back(self, memory):
        if not self._closed:
            self._free.append(memory)

    def _memory(self, size):
        try:
            memory = self._free.pop()
        except IndexError:
            memory = None
        return memory if memory is not None and len(memory) >= size else mmap.mmap(-1, max(1, size))
