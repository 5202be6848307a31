"""What this machine has: memory, and devices beside its CPU."""

import math
import os

import keras


def memory():
    """Return the bytes of memory, infinity where the system doesn't say."""
    if not hasattr(os, "sysconf"):
        return math.inf
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def accelerators():
    """Return the names of the devices on which Keras may compute other than the CPU."""
    return [device for device in keras.distribution.list_devices() if "cpu" not in device.lower()]
