"""Files as accidents leave them: changed at random, by bytes, lines, and values of JSON and XML."""

import copy
import json
import math
import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

VALUES = (
    None,
    True,
    -1,
    0,
    0.5,
    7,
    2**70,
    1e308,
    math.nan,
    math.inf,
    "",
    " ",
    "nan",
    "1e999",
    "0x10",
    "cat",
    "Ω",
    [],
    {},
    [[]],
)
VALUES += (
    "\x00",
    "\ud800",
    "\x1b[31m",
    "../../../etc/hosts",
    "/dev/zero",
    "a" * 5000,
    "9" * 5000,
    ["cat"],
    {"a": None},
    [1] * 99,
)
TEXTS = tuple(str(value) for value in VALUES)
PIECES = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r",
    b",",
    b"{",
    b"[",
    b"<",
    b"&",
    b'"',
    b"\xc3",
    b"9" * 400,
    b"-",
    b"nan",
)


class Kind(NamedTuple):
    """A kind of files that benchmarks/fuzz.py changes and reads."""

    make: Callable  # writes whole files into a folder, a Path; returns the paths of those that may be changed
    read: Callable  # of the folder and the changed file: ends, or raises an OSError, ValueError or ImportError
    mutate: Callable = lambda content, file, rng: mutated(content, Path(file).suffix, rng.random())


COUNT = re.compile(r"\((\d+) files, the first here\)|: (\d+) (?=other files|hidden files)")


def files_told(lines):
    """Return how many files the lines about a data set's leftover files speak of."""
    return sum(int(found[1] or found[2]) if (found := COUNT.search(line)) else 1 for line in lines)


def mutated(content, suffix, seed):
    """Return a file's content with a change or two, as its suffix and the seed decide."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        change = rng.choice((_bytes, _lines, {".json": _json, ".xml": _xml}.get(suffix, _lines)))
        try:
            content = change(content, rng)
        except (
            ElementTree.ParseError,
            LookupError,
            RecursionError,
            ValueError,
        ):  # changed before, and no longer JSON or XML
            content = _bytes(content, rng)
    return content


def _bytes(content, rng):
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice((0, 1, 4, 40, len(content))))
    piece = rng.choice((b"", rng.choice(PIECES), rng.randbytes(4), content[start:end] * 2))
    return content[:start] + piece + content[end:]


def _lines(content, rng):
    lines = content.split(b"\n")
    i = rng.randrange(len(lines))
    fields = lines[i].split()
    if fields and rng.random() < 0.6:
        fields[rng.randrange(len(fields))] = _encoded(rng.choice(TEXTS))
        lines[i] = b" ".join(fields)
    elif b"," in lines[i] and rng.random() < 0.8:
        fields = lines[i].split(b",")
        fields[rng.randrange(len(fields))] = _encoded(rng.choice(TEXTS))
        lines[i] = b",".join(fields)
    else:
        lines[i : i + 1] = rng.choice(
            ([], [lines[i]] * 2, [b""], [_encoded(rng.choice(TEXTS))], lines[i : i + 1] + [b""])
        )
    return b"\n".join(lines)


def _json(content, rng):
    value = json.loads(content)
    places = list(_places(value))
    if not places:
        return _bytes(content, rng)
    holder, key = rng.choice(places)
    change = rng.random()
    if change < 0.7:
        holder[key] = rng.choice(VALUES)
    elif change < 0.85:
        del holder[key]
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[f"{key}s"] = holder.pop(key)
    return json.dumps(value).encode()


def _places(value):
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def _xml(content, rng):
    root = ElementTree.fromstring(content)
    elements = list(root.iter())
    element = rng.choice(elements)
    change = rng.random()
    if change < 0.35:
        element.text = rng.choice(TEXTS)
    elif change < 0.6 and element.attrib:
        element.set(rng.choice(list(element.attrib)), rng.choice(TEXTS))
    elif change < 0.7:
        element.tag = "other"
    elif change < 0.85 and len(element):
        element.remove(rng.choice(list(element)))
    elif len(element):
        element.append(copy.deepcopy(rng.choice(list(element))))
    return _encoded(ElementTree.tostring(root, "unicode"))


def _encoded(text):
    return text.encode("utf-8", "surrogatepass")
