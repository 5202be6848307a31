"""Text and JSON files in any encoding that editors write, with or without a byte-order mark."""

import json
from pathlib import Path

from ....limits import ANNOTATIONS
from .regular import size_of

TEXT_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}  # that editors put first


def content(path, limit=ANNOTATIONS):
    """Return a file's bytes; an OSError where it is not a file, a ValueError where it has more than a `Limit`."""
    check_file(path, limit)
    return Path(path).read_bytes()


def check_file(path, limit=ANNOTATIONS):
    """Raise what `content` does before a file is read."""
    limit.check(size_of(path, f"{path}:"), path)


def read_text(path, errors="surrogateescape"):
    """Return a file's text, UTF-8 or (where it begins with the mark of it) UTF-16, without the mark."""
    data = content(path)
    for mark, encoding in TEXT_MARKS.items():
        if data.startswith(mark) and (encoding == "utf-8" or data.count(0) > len(data) / 4):
            return data[len(mark) :].decode(encoding, errors if encoding == "utf-8" else "replace")
    return data.decode("utf-8", errors)


def read_lines(path):
    """Return a text file's lines; unlike `str.splitlines`, only its line ends end one."""
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_json(path):
    """Return what a JSON file holds; its encoding may be any that JSON allows, with or without a mark.

    Raises:
        OSError: where it can't be read.
        ValueError: where it is not valid JSON.
    """
    try:
        check_file(path)
    except FileNotFoundError as e:
        raise FileNotFoundError(f"{path}: missing; expected a JSON file") from e
    try:
        try:
            return json.loads(Path(path).read_bytes())  # without a name, so that they go before they are parsed
        except UnicodeDecodeError:  # file names of another encoding, as the file system gives them
            return json.loads(Path(path).read_bytes().decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as e:
        raise ValueError(f"{path}: not valid JSON ({e})") from e


def head(path, count=2**16):
    """Return the beginning of a file as text, to see what it is; an empty text where it can't be read."""
    try:
        if not Path(path).is_file():  # a pipe would wait
            return ""
        with open(path, "rb") as file:
            content = file.read(count)
    except OSError:
        return ""
    encoding = json.detect_encoding(content) if content else "utf-8"
    return content.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
