"""What a file of Keras' may make Keras allocate: no more than it holds itself.

A .keras file says in words which layers to make, and holds their weights beside. The words may ask for any number of
layers of any size; the weights take as many bytes as there are.
"""

import io
import json
import math
import os
import threading
import zipfile
from contextlib import contextmanager

import h5py
import keras

from ..limits import LAYERS, NAME, TEXT
from .archives import check_archive

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
SPARE_NUMBERS, SPARE_WEIGHTS = 1 << 22, 200  # that a model may have beside those in its file
ENLARGED = 8  # times the bytes that a compressed dataset takes in its file
_LOCK = threading.RLock()


@contextmanager
def bounded(path: os.PathLike[str] | str):
    """Let Keras load a model from a file within the block, with no more layers and weights than the file holds.

    Raises:
        OSError: the file can't be read.
        ValueError: what it claims is more than it holds, or than is accepted; the message names the file.
    """
    weights, numbers = _checked_model(path)
    with _LOCK, _add_weight_at_most(path, weights + SPARE_WEIGHTS, numbers + SPARE_NUMBERS):
        yield


def check_weights_file(path: os.PathLike[str] | str) -> None:
    """Raise a ValueError that names a .keras or .h5 file whose weights claim to be more than it holds."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_archive(path, archive)
            if WEIGHTS in archive.namelist():
                _count(path, io.BytesIO(archive.read(WEIGHTS)))
    elif h5py.is_hdf5(path):
        _count(path, path)


def _checked_model(path):
    """Return how many weights a model's file holds, and how many numbers these have; nothing of another file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_archive(path, archive)
            names = archive.namelist()
            if CONFIG in names:
                TEXT.check(archive.getinfo(CONFIG).file_size, f"{path}: {CONFIG}")
                _check_config(path, json.loads(archive.read(CONFIG)))
            if WEIGHTS in names:
                return _count(path, io.BytesIO(archive.read(WEIGHTS)))
        return 0, os.path.getsize(path)
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            config = file.attrs.get("model_config", "{}")
            TEXT.check(len(config), f"{path}: model_config")
            _check_config(path, json.loads(config))
        return _count(path, path)
    return 0, 0


def _check_config(path, config):
    """Count the layers that a model's configuration names, and the calls of each; look at their names' lengths."""
    counts, waiting = {"layers": 0, "inbound_nodes": 0}, [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if isinstance(value.get("name"), str):
                NAME.check(len(value["name"]), f"{path}: a layer")
            for key in counts:
                counts[key] += len(value[key]) if isinstance(value.get(key), list) else 0
    LAYERS.check(max(counts.values()), path)


def _count(path, file):
    """Return how many datasets an HDF5 file has, and how many numbers they are in all."""
    found = [0, 0]

    def count(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        size, stored = math.prod(item.shape or ()), item.id.get_storage_size()
        if item.external or item.is_virtual or size * item.dtype.itemsize > ENLARGED * stored:
            raise ValueError(f"{path}: {name} says it has {size:,} numbers, and holds {stored:,} bytes")
        found[0] += 1
        found[1] += size

    with h5py.File(file) as root:
        root.visititems(count)
    return found


@contextmanager
def _add_weight_at_most(path, weights, numbers):
    """Replace `keras.Layer.add_weight`, by which a layer makes each of its weights, by one that counts them first.

    Keras has no hook for this, and has all of a model's weights before it looks into the file for their values.
    """
    add_weight, thread, left = keras.Layer.add_weight, threading.get_ident(), [weights, numbers]

    def counted(self, *args, **kwargs):
        if threading.get_ident() == thread:
            shape = kwargs.get("shape", next((one for one in args if not isinstance(one, str)), ()))
            left[0] -= 1
            left[1] -= math.prod(shape if isinstance(shape, (list, tuple)) else (shape or 1,))
            if min(left) < 0:
                raise ValueError("too many weights")
        return add_weight(self, *args, **kwargs)

    keras.Layer.add_weight = counted
    try:
        yield
    except Exception as e:  # Keras' own, around that of `counted`
        if min(left) < 0:
            what = f"{numbers:,} numbers" if left[1] < 0 else f"{weights:,} weights"
            raise ValueError(f"{path}: its layers ask for more than the {what} that the file can hold") from e
        raise
    finally:
        keras.Layer.add_weight = add_weight
