"""Write files so that none ever carries its final name half-written."""

import errno
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path):
    """Yield a temporary path to write to; it replaces `path` when the block ends without an error.

    A missing folder is made. An OSError names what can't be written, is a folder, or is on a full disk.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, expected the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except (FileExistsError, NotADirectoryError) as e:
        raise NotADirectoryError(f"{path.parent}: is not a folder, expected one to write {path.name} into") from e
    except OSError as e:
        raise OSError(f"{path.parent}: can't be written ({e.strerror}), expected a folder for {path.name}") from e
    with holder as folder:
        # The same name in a folder of its own: some writers look at the suffix.
        aside = Path(folder) / path.name
        try:
            yield aside
            os.replace(aside, path)
        except OSError as e:
            if e.errno not in DISK_FULL:
                raise
            raise OSError(f"{path}: can't be written, the disk is full") from e


def write_json(path, value):
    """Write a JSON file by way of `replacing`."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")
