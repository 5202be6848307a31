"""Class names, a line each, in files as people's editors write them."""

import re
from typing import TYPE_CHECKING

if __package__ or TYPE_CHECKING:
    from .limits import LARGEST
else:  # as a script
    from limits import LARGEST

LONGEST = 1000  # characters of a name
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_labels(path):
    """Read a file of class names, as `parse_labels` does.

    Raises:
        OSError: the file can't be read.
        ValueError: it has more than `LARGEST` bytes.
    """
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path}: more than {LARGEST:,} bytes, expected class names, one a line")
    return parse_labels(content, path)


def parse_labels(content, name):
    """Parse class names, one a line; spaces around a name and blank lines at the end do not count.

    Args:
        content: a file's bytes, UTF-8 or with a byte order mark; else Windows' Western encoding.
        name: what the file is called.

    Returns:
        The names, and a line for people if the encoding had to be guessed, else "".

    Raises:
        ValueError: there are no names, a line between two names is blank, or one is longer than `LONGEST`.
    """
    text, guessed = _decoded(content)
    labels = [line.strip() for line in re.split("\r\n|\r|\n", text.rstrip())]
    if labels == [""]:
        raise ValueError(f"{name}: holds no class names, expected one a line")
    if "" in labels:
        line = labels.index("") + 1
        raise ValueError(f"{name}: line {line} is blank; remove it, or write the name of class {line} there")
    check_lengths(labels, name)
    return labels, f"{name}: not UTF-8, read as {guessed}" if guessed else ""


def check_lengths(labels, name):
    """Raise a ValueError where a class name is longer than `LONGEST`; `name` is what the file is called."""
    for line, label in enumerate(labels, 1):
        if len(label) > LONGEST:
            raise ValueError(f"{name}: line {line} has {len(label):,} characters; a class name has at most {LONGEST:,}")


def _decoded(content):
    """A text, and the encoding if it is a guess."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace"), ""
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding), encoding.replace("utf-8", "")
        except UnicodeDecodeError:
            pass
    return content.decode("latin-1"), "latin-1"
