"""Zip archives, and the arrays in .npz files: what they claim of themselves is checked before anything is unpacked."""

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..limits import UNPACKED

METHODS = {zipfile.ZIP_STORED: "as it is", zipfile.ZIP_DEFLATED: "deflated"}
ENCRYPTED = 0x1  # a member's flag
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def check_archive(path: os.PathLike[str] | str, archive: zipfile.ZipFile) -> None:
    """Raise a ValueError that names the file where an archive can't be read, or unpacks to more than is accepted."""
    members = archive.infolist()
    for member in members:
        if member.flag_bits & ENCRYPTED:
            raise ValueError(f"{path}: its member {member.filename!r} is encrypted")
        if member.compress_type not in METHODS:
            accepted = " or ".join(METHODS.values())
            raise ValueError(f"{path}: its member {member.filename!r} must be stored {accepted}")
    size = sum(member.file_size for member in members)
    if size > os.path.getsize(path):
        UNPACKED.check(size, path)


@contextmanager
def open_npz(path: os.PathLike[str] | str) -> Iterator[np.lib.npyio.NpzFile]:
    """Open a .npz file, whose arrays are read when they are asked for by name.

    Args:
        path: the file, as `numpy.savez` writes it, with arrays of numbers and texts.

    Raises:
        OSError: it can't be read.
        ValueError: it is another file or a damaged one, claims more than it holds, or lacks what is asked for; the
            message is one line and names the file.

    Example:
        >>> with open_npz("last.npz") as file:  # doctest: +SKIP
        ...     print(file["meta"].dtype.kind)
        U
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(path, archive)
            for member in archive.infolist():
                _check_array(archive, member)
        with np.load(path, allow_pickle=False) as file:
            yield file
    except MemoryError:
        raise
    except Exception as e:  # the readers of damaged archives and headers raise anything
        if getattr(e, "filename", None):  # of the file itself, not of a place within it
            raise
        message = " ".join(str(e).removeprefix(f"{path}: ").split()) or type(e).__name__
        raise ValueError(f"{path}: not a whole .npz file ({message})") from e


def _check_array(archive, member):
    """Raise a ValueError unless an array's header fits the length of its member."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"{member.filename}: of version {version} of the format .npy")
        shape, _, kind = HEADERS[version](file)
        held = member.file_size - file.tell()
    if kind.hasobject or math.prod(shape) * kind.itemsize != held or any(side < 0 for side in shape):
        raise ValueError(f"{member.filename}: says it is {kind} of shape {shape}, and holds {held:,} bytes")
