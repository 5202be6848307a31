"""Open Images' CSV files: a row a box, in parts of its image; classes by their numbers, which another file names."""

from ....progress import followed
from ..annotation_files import by_files, file_of, files_by_split, image_in
from ..annotations import Findings
from ..files.folder import Folder, split_of
from ..format import Format
from .csv_table import first_row, rows

BOX = "xmin", "ymin", "xmax", "ymax"
COLUMNS = {"imageid", "labelname", *BOX}
DESCRIPTIONS = "class-descriptions", "classes.csv"  # FiftyOne calls the file so
TRUE = ("1", "true")


def read(source, split, class_names=None, images=None):
    """Read one split: the images that are there, mostly a part of those that the file knows.

    The classes are those that occur, in alphabetical order. Boxes around a group of objects are regions of a crowd.
    """
    path = file_of(_files(source), split, source)
    described, places, absent = _descriptions(source, path), {}, 0
    find = _finder(path, source, images)
    found = Findings(places.get, path, *described)
    names = {number: name for file in described for number, name in _names(file, found.problems)}
    lines = rows(path, found.problems)
    header = [name.strip().lower() for name in next(lines)[1]]
    columns = {name: i for i, name in enumerate(header)}
    number, label, group = (columns.get(name) for name in ("imageid", "labelname", "isgroupof"))
    box = [columns[name] for name in BOX]
    for line, row in followed(lines, f"{path}: rows"):
        if len(row) < len(header):
            found.problems.append(f"{path}:{line}: {len(row)} fields, expected {len(header)}, left out")
            continue
        name = row[number].strip()
        if name not in places:
            places[name] = find(name)
        if places[name] is None:
            absent += 1
        elif image := found.image(name, f"{path}:{line}"):
            corners = [_scaled(row[i], side) for i, side in zip(box, found.size(image) * 2, strict=True)]
            mid = row[label].strip()
            crowd = group is not None and row[group].strip().lower() in TRUE
            found.add(image, names.get(mid, mid), corners, f"{path}:{line} of {image.name}", crowd=crowd)
    if absent:
        missing = [name for name, image in places.items() if image is None]
        images_of = f"{len(missing)} images that aren't there (the first is {missing[0]!r})"
        found.problems.append(f"{path}: {absent} boxes of {images_of}, left out")
    return found.data(path, class_names)


def _finder(path, source, images):
    """Return a function that finds an image by its number, which is its alone, or returns None."""
    if images or isinstance(source, Folder):
        known = {}
        for image in Folder.of(images or source).images:
            known.setdefault(image.stem.lower(), image)
        return lambda name: known.get(name.lower())
    inner = image_in(path, subset=split_of(path.stem.split("-")) or "")

    def find(name):
        try:
            return inner(name)
        except ValueError:
            return None

    return find


def _scaled(text, side):
    try:
        return float(text) * side
    except ValueError:
        return text


def _descriptions(source, path):
    """Return the files that name the classes: in the data set, or beside a file on its own."""
    if isinstance(source, Folder):
        files = source.with_suffix(".csv")
    else:
        metadata = Folder(path.parent.parent).folder("metadata")
        files = [*Folder(path.parent).own, *(metadata.own if metadata else ())]
    return [file for file in files if file.suffix.lower() == ".csv" and _is_descriptions(file)]


def _is_descriptions(file):
    return any(name in file.name.lower() for name in DESCRIPTIONS) and len(first_row(file)) == 2


def _names(file, problems):
    for _, fields in rows(file, problems):
        number, name = (*map(str.strip, fields), "")[:2]
        if name and number.lower() != "labelname":
            yield number, name


def _files(source):
    return files_by_split(source, (".csv",), lambda path: {name.lower() for name in first_row(path)} >= COLUMNS)


FORMAT = Format(
    "openimages",
    "Open Images folder or .csv file",
    "*-annotations-bbox.csv (Open Images)",
    *by_files(_files),
    read,
    takes_images=True,
)
