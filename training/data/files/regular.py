"""Regular files: what a folder lists beside them, such as a pipe, would be waited for."""

import os
import stat


def size_of(path, subject="it"):
    """Return a file's number of bytes; an OSError says that `subject`, the path, is not a regular file."""
    known = os.stat(path)
    if not stat.S_ISREG(known.st_mode):
        raise OSError(f"{subject} is not a file")
    return known.st_size
