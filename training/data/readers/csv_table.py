"""CSV tables, a row an object: with a header, as for TensorFlow's object detection, or without, as for RetinaNet."""

import csv
import json
import re
from pathlib import PurePath

from ....progress import followed
from ..annotation_files import by_files, file_of, files_by_split, image_in
from ..annotations import Findings
from ..files.folder import is_image
from ..files.text import check_file, head
from ..format import Format

CORNERS = "x1", "y1", "x2", "y2"
REQUIRED = ("image", "label", *CORNERS)
COLUMNS = {  # what a column holds: what it may be called, small and without marks
    "image": ("filename", "image", "file", "imagepath", "path", "img", "imagename", "imagefile"),
    "label": ("class", "label", "classname", "name", "category", "object"),
    "x1": ("xmin", "x1", "left"),
    "y1": ("ymin", "y1", "top"),
    "x2": ("xmax", "x2", "right"),
    "y2": ("ymax", "y2", "bottom"),
    "width": ("width", "imagewidth", "imgwidth"),
    "height": ("height", "imageheight", "imgheight"),
}
RETINANET = {name: i for i, name in enumerate(("image", *CORNERS, "label"))}
MARKS = re.compile(r"[^a-z0-9]")


def read(source, split, class_names=None, images=None):
    """Read one split; the classes are those that occur, in alphabetical order."""
    path = file_of(_files(source), split, source)
    found = Findings(image_in(path, source, images, split or ""), path)
    columns, headed = _columns(first_row(path))
    table = []
    for line, row in rows(path, found.problems):
        cells = {key: row[i].strip() for key, i in columns.items() if i < len(row)}
        table.append((f"{path}:{line}", cells, [cells.get(key) for key in CORNERS]))
    table = table[headed:]
    parts = _in_parts(corners for *_, corners in table)
    if parts:
        found.problems.append(f"{path}: no number of a box is above 1, read as parts of the image")
    for where, cells, corners in followed(table, f"{path}: rows"):
        if not cells.get("image"):
            found.problems.append(f"{where}: names no image, left out")
            continue
        image = found.image(cells["image"], where, (cells.get("width"), cells.get("height")))
        if image and (any(corners) or cells.get("label")):  # without both: an image without objects
            values = [_scaled(*pair) for pair in zip(corners, found.size(image) * 2, strict=True)] if parts else corners
            found.add(image, cells.get("label"), values, f"{where} of {image.name}")
    return found.data(path, class_names)


def rows(path, problems):
    """Yield (line, fields) of a CSV file, whatever its encoding and delimiter; report lines that are none."""
    check_file(path)
    with open(path, "rb") as file:
        encoding = json.detect_encoding(file.read(4))
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with open(path, encoding=encoding, errors=errors, newline="") as file:
        first = re.split(r"[\r\n]", head(path, 4000), maxsplit=1)[0]
        reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as e:
                problems.append(f"{path}:{reader.line_num}: not valid CSV ({e}), left out")
                continue
            if fields is None:
                return
            if any(fields):
                yield reader.line_num, fields


def first_row(path):
    """Return the fields of the first line of a CSV file, stripped; none where it can't be read."""
    try:
        return [field.strip() for field in next(rows(path, []), (0, ()))[1]]
    except (OSError, ValueError):
        return []


def _columns(row):
    """Return ({what a column holds: its number}, whether `row` is a header); nothing where it is not such a table."""
    names = [MARKS.sub("", name.lower()) for name in row]
    found = {key: next((names.index(n) for n in known if n in names), None) for key, known in COLUMNS.items()}
    found = {key: i for key, i in found.items() if i is not None}
    if all(key in found for key in REQUIRED):
        return found, True
    numbers = [_number(text) is not None for text in row[1:5]]
    if len(row) == len(RETINANET) and is_image(PurePath(row[0])) and (all(numbers) or not any(row[1:])):
        return RETINANET, False
    return {}, False


def _in_parts(boxes):
    numbers = [number for box in boxes for number in map(_number, box) if number is not None]
    return bool(numbers) and max(numbers) <= 1


def _scaled(text, side):
    return text if (number := _number(text)) is None else number * side


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _files(source):
    return files_by_split(source, (".csv",), lambda path: bool(_columns(first_row(path))[0]))


FORMAT = Format(
    "csv",
    "CSV folder or .csv file",
    "a CSV table with filename, class, xmin, ymin, xmax and ymax (TensorFlow)",
    *by_files(_files),
    read,
    takes_images=True,
)
