"""Data sets in .zip files: unpacked once, into Keras' folder of data sets."""

import hashlib
import lzma
import os
import shutil
import zipfile
import zlib
from pathlib import Path

from ....files import scratch
from ....limits import UNPACKED

RATIO = 20  # times its own size: text may unpack to as much, images to little more than they are
DAMAGED = (EOFError, NotImplementedError, RuntimeError, ValueError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)


def is_archive(path):
    """Return whether it is a .zip file."""
    return path.suffix.lower() == ".zip" and path.is_file()


def unpacked(path):
    """Return the folder that a .zip file is unpacked in; the next time that file is not unpacked again.

    The folder is in `datasets` of Keras' folder (~/.keras, or KERAS_HOME).

    Raises:
        OSError: where there is no room for it, or it can't be read.
        ValueError: where it is not a .zip file, is damaged, or needs a password.
    """
    state = path.stat()
    known = hashlib.sha256(repr((os.fsencode(path.resolve()), state.st_size, state.st_mtime_ns)).encode()).hexdigest()
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    target = home / f"{path.stem}-{known[:12]}"
    if target.is_dir():
        return target
    try:
        home.mkdir(parents=True, exist_ok=True)
        with scratch(home, target.name) as aside, zipfile.ZipFile(path) as archive:
            needed, free = sum(entry.file_size for entry in archive.infolist()), shutil.disk_usage(home).free
            if needed > RATIO * state.st_size:
                UNPACKED.check(needed, path)
            if needed > free:
                raise OSError(f"needs {needed >> 20} MiB, but {home} has {free >> 20} MiB free")
            archive.extractall(aside / "files")
            (aside / "files").mkdir(exist_ok=True)  # of an empty archive
            os.rename(aside / "files", target)
    except OSError as e:
        if target.is_dir():  # another process has been here
            return target
        raise OSError(f"{path}: can't be unpacked ({e.strerror or e}); unpack it and give the folder") from e
    except DAMAGED as e:
        why = str(e).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: can't be unpacked ({why}); unpack it and give the folder") from e
    return target
