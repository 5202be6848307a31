"""YOLO's label files: a line an object, in parts of the image, in a file for each image."""

import math
import re
from pathlib import Path

from ...progress import followed
from .annotations import add_object, collect
from .class_names import listed_names
from .files.text import head, read_text
from .images import upright_size

CLASSES = "classes.txt"  # the list of the classes' names
LABEL = re.compile(r"\d+(\.0*)?(\s+[-+\d.eE]+){4,}\s*$")  # a line of a label file


def describes(path):
    """Return whether a file has the lines of a label file, or is empty as that of an image without objects."""
    if path.suffix.lower() != ".txt" or path.name.lower() == CLASSES:
        return False
    try:
        if not path.stat().st_size:
            return True
    except OSError:
        return False
    text = head(path, 1000).strip()
    return not text or bool(LABEL.match(text.splitlines()[0].strip()))


def read_labels(listing, root, images, names, class_names, problems, files, posed=False):
    """Make `DetectionData` of images and the label files that belong to them.

    Args:
        listing: what lists the images, for errors.
        root: `Folder` of the data set.
        images: paths of the images.
        names: the classes' names, by number.
        class_names: the classes to keep, None for all.
        problems: the lines so far, which are added to.
        files: the files that were read so far, which are added to.
        posed: whether key points stand after a box.
    """
    found = []
    for image in followed(images, f"{listing}: images"):
        files.add(image)
        labels = _label_file(image, root)
        if labels:
            files.add(labels)
        try:
            size = upright_size(image)
        except OSError as e:
            problems.append(f"{e}, left out")
            continue
        found.append((image, size, _objects(labels, size, names, posed, problems) if labels else []))
    return collect(listing, found, class_names or names, problems, files)


def nearest_names(lists, images, root, problems, files):
    """Return the names of the classes in the list that is nearest to some images, in their folder or one around it.

    Args:
        lists: paths of all lists of a data set.
        images: paths of the images.
        root: `Folder` of the data set.
        problems: the lines so far, which are added to.
        files: the files that were read so far, which are added to.

    Raises:
        ValueError: where the lists of some of the images differ from those of others.
    """
    known, wanted = {file.parent: file for file in lists}, {}
    for folder in {image.parent for image in images}:
        labels = _label_file(folder / "any.jpg", root, exists=False).parent
        around = (*(folder, labels), *folder.parents, *labels.parents)
        if near := next((known[one] for one in around if one in known), None):
            wanted[near] = None
    chosen, *others = wanted or lists
    names = listed_names(chosen, problems)
    for other in others:
        if listed_names(other, []) != names:
            raise ValueError(f"{other}: names other classes than {chosen}; give both the same names in the same order")
    files.update((chosen, *others))
    return names


def _label_file(image, root, exists=True):
    """Return labels/.../a.txt of images/.../a.jpg, or a.txt beside it, whatever their case; None without one.

    Without `exists`, return where it would be.
    """
    parts, inner = image.parts, len(root.path.parts) if image.is_relative_to(root.path) else 0
    swaps = [i for i in range(len(parts) - 2, -1, -1) if parts[i].lower() == "images"]
    # The last in the data set; a folder that the data set lies in may be called images as well.
    within, around = [i for i in swaps if i >= inner][:1], [i for i in swaps if i < inner][:1]
    beside = image.with_suffix(".txt")
    swapped = [[Path(*parts[:i], "labels", *beside.parts[i + 1 :]) for i in some] for some in (within, around)]
    if not exists:
        return (*swapped[0], beside)[0]
    for wanted in (*swapped[0], beside, *swapped[1]):
        if wanted.is_relative_to(root.path):
            found = root.file(*wanted.relative_to(root.path).parts)
        else:
            found = next((file for file in (wanted, wanted.with_suffix(".TXT")) if file.is_file()), None)
        if found:
            return found
    return None


def _objects(file, size, names, posed, problems):
    try:
        lines = read_text(file, "replace").splitlines()
    except OSError as e:
        problems.append(f"{file}: can't be read ({e.strerror}), its objects left out")
        return []
    objects = []
    for number, line in enumerate(lines, start=1):
        fields, source = line.split(), f"{file}:{number}"
        if not fields:
            continue
        try:
            label, *values = map(float, fields)
        except ValueError:
            problems.append(f"{source}: {line[:80]!r} is not all numbers, left out")
            continue
        if not (label.is_integer() and 0 <= label < len(names)):
            problems.append(f"{source}: class {fields[0][:20]} is not in 0 to {len(names) - 1}, left out")
        elif not (len(values) == 4 or posed and len(values) > 4 or len(values) >= 6 and len(values) % 2 == 0):
            problems.append(f"{source}: {len(values)} numbers after the class, expected 4 or a polygon's, left out")
        else:
            corners = _corners(values, size, posed)
            add_object(objects, problems, names[int(label)], corners, size, source)
    return objects


def _corners(values, size, posed):
    if posed or len(values) == 4:
        x, y, width, height = values[:4]
        if width < 0 or height < 0:
            return x, y, x, y  # no area, whichever way its corners would come to lie
        corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    else:
        x, y = values[::2], values[1::2]
        if not all(map(math.isfinite, values)):
            return ()
        corners = min(x), min(y), max(x), max(y)
    return [corner * side for corner, side in zip(corners, size * 2, strict=True)]
