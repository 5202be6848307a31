"""KITTI's text files for object detection, as NVIDIA's tools and FiftyOne have them: a line for each object."""

import re
from itertools import takewhile

from ....progress import followed
from ..annotations import Findings
from ..files.folder import Folder, by_split, part_of
from ..files.text import head, read_lines
from ..format import Format

FOLDERS, FILES = 5, 10  # that are looked at to recognize a data set: folders, and files in each
# Of truncated, occluded, alpha, the box in pixels, 3 sizes, 3 coordinates, an angle and, of a result, a score.
NUMBERS = 14, 15
BOX = slice(3, 7)
DONT_CARE = "dontcare"  # regions where objects are not annotated


def matches(source, split):
    """Return whether it is a folder with such files and images."""
    return isinstance(source, Folder) and bool(source.images) and any(map(_labels, _folders(source)[:FOLDERS]))


def describes(path):
    """Return whether a file begins with a line of KITTI's kind."""
    return path.suffix.lower() == ".txt" and bool(_parsed(head(path, 1000).split("\n")[0]))


def splits(source):
    """Return the splits that the folders of the files are called after: training for KITTI's own."""
    return [split for split in _by_split(source) if split]


def read(source, split, class_names=None):
    """Read one split: the image of every file; the classes are those that occur, in alphabetical order."""
    source = Folder.of(source)
    split, files = part_of(_by_split(source), split, source)
    listing = f"{source}, split {split}" if split else source
    found, regions = Findings(lambda path: _image(source, path), *files), []
    for path in followed(files, f"{listing}: annotations"):
        if image := found.image(path, path):
            try:
                _read_file(found, image, path, regions)
            except OSError as e:
                found.problems.append(f"{path}: can't be read ({e.strerror}), its objects left out")
    if regions:
        found.problems.append(f"{regions[0]}: {len(regions)} DontCare regions, the first here, left out")
    return found.data(listing, class_names)


def _read_file(found, image, path, regions):
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        if not (fields := _parsed(line)):
            found.problems.append(f"{where}: {line[:80]!r} is not a class and 14 or 15 numbers, left out")
        elif re.sub(r"\W|_", "", fields[0]).lower() == DONT_CARE:
            regions.append(where)
        else:
            found.add(image, fields[0], fields[1][BOX], where)


def _parsed(line):
    """Return (class, numbers) of a line, None where it is not KITTI's; one whose class is a number is YOLO's."""
    fields = line.split()
    count = min(len(list(takewhile(_is_number, reversed(fields)))), NUMBERS[-1])
    label, numbers = fields[: len(fields) - count], fields[len(fields) - count :]
    return None if count not in NUMBERS or not label or _is_number(label[0]) else (" ".join(label), numbers)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _folders(source):
    """Return the .txt files of each folder that has some; of one that is called after labels first."""
    folders = {}
    for file in source.with_suffix(".txt"):
        folders.setdefault(file.parent, []).append(file)
    return [folders[key] for key in sorted(folders, key=lambda folder: not folder.name.lower().startswith("label"))]


def _labels(files):
    return any(map(describes, files[:FILES]))


def _by_split(source):
    source = Folder.of(source)
    files = [file for group in _folders(source) if _labels(group) for file in group]
    # One without objects is empty; others that no image belongs to are lists and notes.
    return by_split(source, [file for file in files if source.has_image(file.stem) or describes(file)])


def _image(folder, path):
    """Return the image of a file: of label_2/a.txt image_2/a.png, though image_3 has one of that name, too."""
    beside = re.sub("label", "image", path.parent.name, flags=re.I)
    image = folder.image(path.stem, near=path.parent.parent / beside / path.name)
    if image is None:
        raise ValueError(f"{path.with_suffix('')}.png: missing, image left out")
    return image


FORMAT = Format(
    "kitti",
    "KITTI folder",
    "label_2 and image_2, or labels with 15 fields a line (KITTI)",
    matches,
    splits,
    read,
    describes=describes,
)
