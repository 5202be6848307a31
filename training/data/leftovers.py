"""What lies in a data set's folders and was not read: every file has a reason, with a count."""

from collections import Counter
from pathlib import Path

from .files.folder import Folder, is_image
from .images import UNREADABLE

ARCHIVES = (".7z", ".gz", ".rar", ".tar", ".tgz", ".zip")
MAX_SUFFIXES = 6  # in a message
HIDDEN = ("thumbs.db", "desktop.ini")  # and all that begins with a dot


def leftovers(folder, used, describes=None):
    """Return a line for each kind of file that was not read.

    Args:
        folder: `Folder` of the data set.
        used: the files that were read.
        describes: function of a path; whether a file is the annotation of one image, as `Format.describes`.

    Returns:
        (lines for what no split can use: images of unknown kinds, annotations without an image; lines for the others,
        which may be in a split that was not read).
    """
    groups, unusable, unused = _groups(folder, used, describes), list(folder.problems), []
    for suffix, files in groups.unreadable.items():
        unusable.append(_line(files, f"an image of a kind that can't be read ({suffix}); save it as JPEG or PNG"))
    if groups.orphans:
        unusable.append(_line(groups.orphans, "an annotation without an image, left out"))
    for files, text in (
        (groups.images, "an image that is in no list or has no annotation, not used"),
        (groups.annotations, "the annotation of an image that is not used"),
        (groups.archives, "an archive, not unpacked"),
    ):
        if files:
            unused.append(_line(files, text))
    if groups.others:
        unused.append(f"{folder}: {len(groups.others)} other files, not used ({suffix_counts(groups.others)})")
    if groups.hidden:
        unused.append(f"{folder}: {len(groups.hidden)} hidden files, not used")
    return unusable, unused


def suffix_counts(files):
    """Return how many files there are of each suffix, as a text."""
    counts = Counter(file.suffix.lower() or "without suffix" for file in files).most_common()
    text = ", ".join(f"{count} {suffix}" for suffix, count in counts[:MAX_SUFFIXES])
    return f"{text}, ..." if len(counts) > MAX_SUFFIXES else text


class _Groups:
    def __init__(self):
        self.unreadable, self.orphans, self.images, self.annotations = {}, [], [], []
        self.archives, self.others, self.hidden = [], [], []


def _groups(folder, used, describes):
    groups, shown = _Groups(), set(folder.files)
    for file in folder.all_files:
        suffix = file.suffix.lower()
        if file in used:
            continue
        if file not in shown or file.name.lower() in HIDDEN:
            groups.hidden.append(file)
        elif suffix in UNREADABLE:
            groups.unreadable.setdefault(suffix, []).append(file)
        elif is_image(file):
            groups.images.append(file)
        elif describes and describes(file):
            (groups.annotations if folder.has_image(file.stem) else groups.orphans).append(file)
        else:
            (groups.archives if suffix in ARCHIVES else groups.others).append(file)
    return groups


def _line(files, reason):
    count = f" ({len(files)} files, the first here)" if len(files) > 1 else ""
    return f"{files[0]}: {reason}{count}"


def root_of(source, data):
    """Return the `Folder` whose files belong to a data set: itself, or around a file what its images lie in."""
    if isinstance(source, Folder):
        return source
    if source.suffix.lower() in (".yaml", ".yml", ".data"):
        return Folder(source.parent)
    image = next((example.image for example in data.examples if isinstance(example.image, Path)), None)
    return Folder(image.parent) if image else None
