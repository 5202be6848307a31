"""The files under a data set's folder, found whatever the case of their names."""

import heapq
import os
import re
import unicodedata
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ....tflite.device.frames import SUFFIXES

MAX_DEPTH = 50  # folders inside each other
MAX_VISITS = 8  # of one folder, by way of links
PREFERRED = {".jpg": 0, ".jpeg": 1, ".png": 2, ".bmp": 3}  # of images of one stem in one folder
SPLIT = re.compile(r"train|val|test|dev", re.I)  # how the name of a split's folder or file begins


class Folder(os.PathLike):
    """A folder that is listed when it is asked, once: its files and folders in the order of their names.

    Attributes:
        path: where it is.
        memory: for what readers find in it and would have to read again.
    """

    def __init__(self, path, parents=None, visits=None):
        self.path, self._visits, self.memory = Path(path), {} if visits is None else visits, {}
        self._alike = {}  # of folders (0) and files (1), made where a name is not found as it is written
        self._parents = tuple(map(_real, [path] if self.path.is_dir() else ())) if parents is None else parents

    @classmethod
    def of(cls, path):
        """Return the `Folder` of a path, or what is a `Folder` already."""
        return path if isinstance(path, cls) else cls(path)

    def __fspath__(self):
        return str(self.path)

    def __str__(self):
        return str(self.path)

    @cached_property
    def _listed(self):
        """({name: Folder}, {name: path of a file}, lines for what is neither)."""
        folders, files, problems = {}, {}, []
        try:
            entries = sorted(os.scandir(self.path), key=lambda entry: entry.name)
        except OSError as e:
            return folders, files, [f"{self.path}: can't be opened ({e.strerror}), left out"]
        for entry in entries:
            path = self.path / entry.name
            try:
                if entry.is_dir():
                    real = _real(entry.path)
                    if real in self._parents:
                        continue  # a link to a folder that it lies in
                    self._visits[real] = self._visits.get(real, 0) + 1
                    if len(self._parents) == MAX_DEPTH or self._visits[real] > MAX_VISITS:
                        problems.append(f"{path}: folders are nested or linked too deeply, left out")
                        continue
                    folders[entry.name] = Folder(path, (*self._parents, real), self._visits)
                elif entry.is_file():
                    files[entry.name] = path
                else:
                    problems.append(f"{path}: is neither a file nor a folder (a link to nothing?), left out")
            except OSError as e:
                problems.append(f"{path}: can't be opened ({e.strerror}), left out")
        return folders, files, problems

    @property
    def folders(self):
        """Its folders that are not hidden."""
        return [folder for folder in self._listed[0].values() if not folder.path.name.startswith((".", "__"))]

    @property
    def own(self):
        """Its own files."""
        return list(self._listed[1].values())

    @cached_property
    def all_files(self):
        """All files in it and in its folders, hidden ones too."""
        return [*self.own, *(file for folder in self._listed[0].values() for file in folder.all_files)]

    @cached_property
    def problems(self):
        """A line for everything in it that can't be opened."""
        return [*self._listed[2], *(line for folder in self._listed[0].values() for line in folder.problems)]

    @cached_property
    def files(self):
        """All files in it and in its folders that are not hidden."""
        return [*self.own_shown, *(file for folder in self.folders for file in folder.files)]

    @cached_property
    def images(self):
        """All images in it and in its folders, by their suffix."""
        return self.with_suffix(*SUFFIXES)

    @cached_property
    def own_shown(self):
        """Its own files that are not hidden."""
        return [file for name, file in self._listed[1].items() if not name.startswith(".")]

    @cached_property
    def own_images(self):
        """Its own images."""
        return [file for file in self.own_shown if is_image(file)]

    def with_suffix(self, *suffixes):
        """Return the files of some suffixes, in lower case, in it and in its folders."""
        numbered = [self._by_suffix[suffix] for suffix in {*suffixes} if suffix in self._by_suffix]
        return [file for _, file in heapq.merge(*numbered)]

    @cached_property
    def _by_suffix(self):
        """{suffix: [(number among the files, file)]}: one look at each name serves all formats."""
        found = {}
        for numbered in enumerate(self.files):
            found.setdefault(numbered[1].suffix.lower(), []).append(numbered)
        return found

    def folder(self, *names):
        """Return the folder in it of that name (and the one in that, ...), whatever its case, or None."""
        found = self
        for name in names:
            found = found and found._named(name, 0)
        return found

    def file(self, *names):
        """Return the path of a file in it, or in a folder of a folder, whatever the case of the names, or None."""
        folder = self.folder(*names[:-1])
        return folder and folder._named(names[-1], 1)

    def _named(self, name, kind):
        """Return its folder (`kind` 0) or file (1) of a name, else the first of that name in another case, or None."""
        found = self._listed[kind].get(name)
        if found is not None:
            return found
        if kind not in self._alike:
            named = self._listed[kind]
            self._alike[kind] = {_key(name): named[name] for name in sorted(named, reverse=True)}
        return self._alike[kind].get(_key(name))

    def listed(self, name):
        """Return the path of a file by its exact name, relative to this folder with a slash, or None."""
        folders, _, last = name.rpartition("/")
        found = self
        for part in folders.split("/") if folders else ():
            found = found and found._listed[0].get(part)
        return found and found._listed[1].get(last)

    def exact(self, name):
        """Return the path of what a name is, absolute or relative to this folder, or None where there is nothing.

        It is below `path` where it lies in this folder.
        """
        found = Path(os.path.normpath(self.path / str(name).replace("\\", "/")))
        if not os.path.exists(found):  # unlike `Path.exists`, false for a name that is too long
            return None
        inner = os.path.relpath(found, self.path)
        return found if inner.startswith("..") else self.path / inner

    def resolve(self, name):
        """Return the path of a file or folder that a list names, as a data set may have been written elsewhere.

        Args:
            name: a path: absolute, relative to this folder, or to one around it or on another system; leading folders
                that are not there are left out.

        Returns:
            Its path, as `exact` gives it, or None where there is nothing.
        """
        if exact := self.exact(name):
            return exact
        plain = str(name).replace("\\", "/")
        parts = [part for part in PurePosixPath(plain).parts if part not in ("/", ".", "..")]
        for i in range(len(parts)):
            if found := self.file(*parts[i:]) or self.folder(*parts[i:]):
                return Path(found)
        return None

    def relative(self, path):
        """Return the parts of a path within this folder, or of its name alone where it lies outside."""
        path = Path(path)
        return path.relative_to(self.path).parts if path.is_relative_to(self.path) else (path.name,)

    @cached_property
    def _by_stem(self):
        stems = {}
        for image in self.images:
            stems.setdefault(_key(image.stem), []).append(image)
        return stems

    @cached_property
    def _annotated(self):
        return {_key(file.stem) for file in self.with_suffix(".txt", ".xml", ".json")}

    def has_annotation(self, image):
        """Return whether a file of an image's name may be its annotation."""
        return _key(image.stem) in self._annotated

    def has_image(self, stem):
        """Return whether an image in it or in its folders has a name without its suffix, whatever its case."""
        return _key(stem) in self._by_stem

    def image(self, name, near=None):
        """Find the image that an annotation names, whatever its folder, suffix and case.

        Args:
            name: a path or a file's name, of this or another system, or the name without a suffix.
            near: the annotation's file; of several images those in the most similar folders are taken.

        Returns:
            Its path, or None where there is none, or several that are as likely.
        """
        plain = str(name).replace("\\", "/")
        if "://" in plain:
            plain = unquote(urlsplit(plain).path)
        wanted = PurePosixPath(plain)
        parts = [part for part in wanted.parts if part not in ("/", ".", "..")]
        if not parts:
            return None
        if (exact := self.file(*parts)) and is_image(exact):
            return exact
        last = _key(parts[-1])
        stem = _key(wanted.stem) if wanted.suffix.lower() in SUFFIXES else last
        found = self._by_stem.get(stem, [])
        found = [image for image in found if _key(image.name) == last] or found
        if len({image.parent for image in found}) > 1:
            hints = {part.lower() for part in (*parts[:-1], *(self.relative(near)[:-1] if near else ()))}
            scores = [len(hints & {part.lower() for part in self.relative(image)[:-1]}) for image in found]
            found = [image for image, score in zip(found, scores, strict=True) if score == max(scores)]
        if len({image.parent for image in found}) != 1:
            return None
        return min(found, key=lambda image: (PREFERRED.get(image.suffix.lower(), len(PREFERRED)), image.name))


def _real(path):
    """Return what is the same for all links to a folder."""
    known = os.stat(path)
    return known.st_dev, known.st_ino


def _key(name):
    """Return a name as it is compared: without its case, and with accents in one way; Macs have their own."""
    return unicodedata.normalize("NFC", name).lower()


def is_image(path):
    """Return whether a file's suffix is that of an image that can be read."""
    return path.suffix.lower() in SUFFIXES


def split_of(parts):
    """Return the first of the names of folders or files that begins as the name of a split does, or None."""
    return next((part for part in parts if SPLIT.match(part)), None)


def by_split(folder, files):
    """Return {split: files}: by the first of their folders that is named as a split is, {None: files} without one."""
    found = {}
    for file in files:
        found.setdefault(split_of(folder.relative(file)[:-1]), []).append(file)
    if None in found and len(found) > 1:
        others = found.pop(None)
        if any(_annotated(folder, file) for file in others):  # a split of its own, so that nothing is lost
            found["other"] = others
    return found


def part_of(parts, split, source):
    """Return (split, its part) of {split: part}; one that is not split, {None: part}, has that for every name.

    Raises:
        FileNotFoundError: where there is no such split; it says which there are.
        ValueError: where there are no parts.
    """
    if not parts:
        raise ValueError(f"{source}: has no files of this format")
    split = None if None in parts else split
    if split not in parts:
        raise FileNotFoundError(f"{source}: has no split {split!r}; there are {', '.join(parts)}")
    return split, parts[split]


def _annotated(folder, file):
    return folder.has_annotation(file) if is_image(file) else folder.has_image(file.stem)
