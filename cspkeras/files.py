"""Files that never carry their final name half-written."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Give a path beside `path` to write to; it takes the place of `path` when the block ends without an error.

    Args:
        path: the final name. Its folder is made where it is missing.

    Raises:
        OSError: where the folder can't be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        # The same name in a folder of its own: writers that look at the ending see the right one.
        aside = Path(folder) / path.name
        yield aside
        os.replace(aside, path)
