"""Imports of TensorFlow without what its libraries log as they are loaded."""

import contextlib
import os
import sys


@contextlib.contextmanager
def quiet_imports():
    """Discard what is written to the file of the standard error, where TensorFlow's libraries log, during a block.

    Nothing is discarded where TensorFlow is loaded already.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # afterwards its errors alone
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with open(os.devnull, "wb") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
