"""Create ML's JSON files: a list of images, each with its annotations, whose boxes are around a centre."""

from ....progress import followed
from ..annotation_files import by_files, file_of, files_by_split, image_in
from ..annotations import Findings
from ..files.text import head, read_json
from ..format import Format

LISTS = "annotations", "annotation"
IMAGE = "image", "imagefilename"  # what different versions call an image's file


def read(source, split, class_names=None):
    """Read one split; the classes are those that occur, in alphabetical order."""
    path = file_of(_files(source), split, source)
    stored = read_json(path)
    if not isinstance(stored, list):
        raise ValueError(f"{path}: not a Create ML file; expected a list of images with annotations")
    found = Findings(image_in(path, source), path)
    for i, entry in enumerate(followed(stored, f"{path}: images")):
        where = f"{path}: [{i}]"
        try:
            name, things = (
                next(entry[key] for key in IMAGE if isinstance(entry.get(key), str)),
                entry[LISTS[LISTS[0] not in entry]],
            )
            things = list(enumerate(things))
        except (AttributeError, KeyError, StopIteration, TypeError):
            found.problems.append(f"{where}: is not an image with annotations, left out")
            continue
        if image := found.image(name, where):
            for j, thing in things:
                _add(found, image, thing, f"{where}.annotations[{j}] of {image.name}")
    return found.data(path, class_names)


def _add(found, image, thing, where):
    try:
        x, y, width, height = (float(thing["coordinates"][key]) for key in ("x", "y", "width", "height"))
        label = thing["label"]
    except (KeyError, OverflowError, TypeError, ValueError):
        found.problems.append(f"{where}: has no label and coordinates x, y, width and height, left out")
        return
    found.add(image, label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), where)


def _files(source):
    return files_by_split(source, (".json",), _is_createml)


def _is_createml(path):
    text = head(path)
    return text.startswith("[") and '"annotation' in text and any(f'"{key}"' in text for key in IMAGE)


FORMAT = Format(
    "createml", "Create ML folder or .json file", "_annotations.createml.json (Create ML)", *by_files(_files), read
)
