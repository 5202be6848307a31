"""The names of classes: cleaned, checked, and read from a list, a name on each line."""

from ...limits import CLASSES, NAME
from ...tflite.device.printing import printable
from .files.text import read_lines

MAX_WIDTH = 40  # letters of a name in a table


def clean(name):
    """Return a class's name as one line of text that can be printed and written anywhere.

    Blanks are single; surrogates that are a pair become their character; what is left of them, and control
    characters, are written as Python escapes them.
    """
    text = str(name).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass").lstrip("\ufeff")
    return printable(" ".join(text.split()))


def checked_classes(names, source):
    """Return the names of classes, each once; a ValueError where they or one's letters are too many."""
    found = tuple(dict.fromkeys(names))
    CLASSES.check(len(found), source)
    for name in found:
        NAME.check(len(name), source)
    return found


def short(name):
    """Return a class's name as it fits into a line of a table."""
    return name if len(name) <= MAX_WIDTH else f"{name[: MAX_WIDTH - 1]}…"


def checked(names, source, problems):
    """Check the names of a data set's classes.

    Args:
        names: what stands in a file, in the order of the classes' numbers.
        source: the file, for errors.
        problems: the lines so far; a name that stands twice adds one, and both numbers are then the same class.

    Returns:
        The names, cleaned, one for each number.

    Raises:
        ValueError: for no names, and for one that is empty, null or not a text or number.
    """
    numbers, found = {}, []
    for number, name in enumerate(names):
        if not isinstance(name, (str, int, float)) or isinstance(name, bool):
            kind = "null" if name is None else f"a {type(name).__name__}"
            raise ValueError(f"{source}: the name of class {number} is {kind}, expected a text")
        text = clean(name)
        if not text:
            raise ValueError(f"{source}: the name of class {number} is empty, expected a text")
        if text in numbers:
            problems.append(f"{source}: classes {numbers[text]} and {number} are both called {text!r}, read as one")
        numbers.setdefault(text, number)
        found.append(text)
    if not found:
        raise ValueError(f"{source}: no names of classes, expected at least one")
    return found


def listed_names(path, problems):
    """Read a list of classes, a name on each line; a ValueError where a line between two names is empty."""
    lines = [line.strip() for line in read_lines(path)]
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        line = lines.index("") + 1
        raise ValueError(f"{path}:{line}: empty, so class {line - 1} has no name; remove the line or name the class")
    return checked(lines, path, problems)
