"""Python's search for circles of objects, put off while millions of objects are made that are in none."""

import gc
from contextlib import contextmanager


@contextmanager
def uncollected():
    """Leave the search out for a while: it takes a quarter of the time of reading a large data set."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
