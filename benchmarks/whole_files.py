"""Whether a file that a command has written is whole, by its suffix."""

import csv
import json
import zipfile
from html.parser import HTMLParser


def look(path):
    """Read a file of a command's output to its end; raise an error where it is not whole."""
    read = LOOKS.get(path.suffix)
    if read is None:
        raise ValueError("a kind of file that no command writes")
    read(path)


def _read_npz(path):
    import numpy as np

    with np.load(path) as file:
        dict(file)


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise ValueError(f"its {broken} is damaged")


def _read_image(path):
    from PIL import Image

    if not path.read_bytes().endswith(b"IEND\xaeB`\x82"):
        raise ValueError("it has no end")
    Image.open(path).load()


def _read_page(path):
    if not path.read_text("utf-8").rstrip().endswith(("</html>", "</svg>")):
        raise ValueError("it has no end")
    HTMLParser().feed(path.read_text("utf-8"))


def _read_records(path):
    """Walk a TFRecord file's framing: length, its checksum, data, its checksum."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        place += 16 + int.from_bytes(content[place : place + 8], "little")
    if place != len(content):
        raise ValueError("its last record is cut")


def _read_rows(path):
    with open(path, newline="") as file:
        first, *rows = csv.reader(file)
    if not path.read_bytes().endswith(b"\n") or any(len(row) != len(first) for row in rows):
        raise ValueError("its last row is cut")


def _read_text(path):
    if not path.read_bytes().endswith(b"}\n"):
        raise ValueError("its last item is cut")


LOOKS = {
    ".npz": _read_npz,
    ".keras": _read_zip,
    ".tflite": _read_zip,  # the settings are its end
    ".png": _read_image,
    ".html": _read_page,
    ".svg": _read_page,
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".csv": _read_rows,
    ".tfrecord": _read_records,
    ".pbtxt": _read_text,
}
