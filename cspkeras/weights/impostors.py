"""Files that are not what their names say: a page or a pointer that was saved instead of a download."""

import os

POINTER = "a git-lfs pointer, which stands for the file: run `git lfs pull` in its repository, or download it there"
PAGE = "a web page: open its address in a browser, sign in or confirm where it asks to, and download the file there"
ARCHIVE = "an archive: unpack it, and give the file that is in it"
BEGINNINGS = {  # in lower case
    b"version https://git-lfs.github.com/spec/": POINTER,
    **dict.fromkeys((b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<?xml", b"<!--"), PAGE),
    b'{"': "JSON, such as a server's error: look into it",
    **dict.fromkeys((b"pk\x03\x04", b"\x1f\x8b", b"rar!", b"7z\xbc\xaf"), ARCHIVE),
}
ZIPS = ".keras", ".pt", ".pth", ".pth.tar", ".zip"  # Keras' and PyTorch's files are archives


def impostor(path: os.PathLike[str] | str) -> str | None:
    """Return what a file is that is not weights, and what to do: a web page, a git-lfs pointer, an archive.

    Args:
        path: the file.

    Returns:
        None for what may be weights.

    Raises:
        OSError: if the file can't be read.

    Example:
        >>> impostor("yolov4.weights")  # doctest: +SKIP
        'a web page: open its address in a browser, sign in or confirm where it asks to, and download the file there'
    """
    with open(path, "rb") as file:
        head = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kind = next((kind for beginning, kind in BEGINNINGS.items() if head.startswith(beginning)), None)
    return None if kind is ARCHIVE and str(path).lower().endswith(ZIPS) else kind


def check_is_weights(path: os.PathLike[str] | str) -> None:
    """Raise a ValueError, one line that names the file, if it is one that `impostor` knows."""
    if kind := impostor(path):
        raise ValueError(f"{path}: not weights, but {kind}")
