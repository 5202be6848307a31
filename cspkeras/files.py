"""Files that never carry their final name half-written."""

import errno
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path):
    """Give a path beside `path` to write to; it takes the place of `path` when the block ends without an error.

    Args:
        path: the final name. Its folder is made where it is missing.

    Raises:
        OSError: where the folder can't be made or written, `path` is a folder, or the disk is full; naming them.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, expected the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except (FileExistsError, NotADirectoryError) as e:
        raise NotADirectoryError(f"{path.parent}: is no folder, expected one to write {path.name} into") from e
    except OSError as e:
        raise OSError(f"{path.parent}: can't be written ({e.strerror}), expected a folder for {path.name}") from e
    with holder as folder:
        # The same name in a folder of its own: writers that look at the ending see the right one.
        aside = Path(folder) / path.name
        try:
            yield aside
            os.replace(aside, path)
        except OSError as e:
            if e.errno not in FULL:
                raise
            raise OSError(f"{path}: can't be written, the disk is full") from e


def write_json(path, value):
    """Write a JSON file, aside first."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")
