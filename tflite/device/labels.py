"""Class names, a line each, in files as people's editors write them."""

import re

BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_labels(path):
    """Read a file of class names, as `parse_labels` does.

    Raises:
        OSError: the file can't be read.
    """
    with open(path, "rb") as file:
        return parse_labels(file.read(), path)


def parse_labels(content, name):
    """Parse class names, one a line; spaces around a name and blank lines at the end do not count.

    Args:
        content: a file's bytes, UTF-8 or with a byte order mark; else Windows' Western encoding.
        name: what the file is called.

    Returns:
        The names, and a line for people if the encoding had to be guessed, else "".

    Raises:
        ValueError: there are no names, or a line between two names is blank.
    """
    text, guessed = _decoded(content)
    labels = [line.strip() for line in re.split("\r\n|\r|\n", text.rstrip())]
    if labels == [""]:
        raise ValueError(f"{name}: holds no class names, expected one a line")
    if "" in labels:
        line = labels.index("") + 1
        raise ValueError(f"{name}: line {line} is blank; remove it, or write the name of class {line} there")
    return labels, f"{name}: not UTF-8, read as {guessed}" if guessed else ""


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
