"""A clean end of the process while TensorFlow's threads still call Python, to make the batches of a live iterator.

A thread that comes to Python while it ends its interpreter is stopped there: the process then waits for it for ever, or
is aborted. So before, batches are no longer made, and it is waited until TensorFlow, whose buffers are full then, calls
no more.
"""

import atexit
import sys
import threading
import time
import weakref

INTERVAL, QUIET, PATIENCE = 0.005, 20, 20.0  # seconds between two looks; looks since the last call; seconds in all
CALLS = "script_ops.py"  # TensorFlow's file by which its threads call Python

_pools, _lock = weakref.WeakSet(), threading.Lock()


def ends_with_the_process(pool):
    """Call `pool.close()` before Python ends, and wait for TensorFlow's threads."""
    with _lock:
        if not _pools:
            atexit.unregister(_end)  # so that it comes before all that was registered up to now
            atexit.register(_end)
        _pools.add(pool)


def _end():
    for pool in list(_pools):
        pool.close()
    quiet, end = 0, time.monotonic() + PATIENCE
    while quiet < QUIET and (before := time.monotonic()) < end:
        time.sleep(INTERVAL)
        if _called():
            quiet = 0
        elif time.monotonic() - before < 4 * INTERVAL:  # where we have to wait for a core, so do they
            quiet += 1


def _called():
    """Return whether TensorFlow is calling Python in another thread."""
    mine = threading.get_ident()
    return any(_is_call(frame) for thread, frame in sys._current_frames().items() if thread != mine)


def _is_call(frame):
    while frame:
        if frame.f_code.co_filename.endswith(CALLS):
            return True
        frame = frame.f_back
    return False
