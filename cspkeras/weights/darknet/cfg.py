"""Read Darknet's .cfg files into sections; an option is checked when it is read."""

import codecs
import os
import re
from dataclasses import dataclass, field
from reprlib import repr as shown  # cut short: a faulty value may be long

from ...limits import SECTIONS, TEXT

LARGEST = 1 << 16  # of any size, width or number of channels
REQUIRED = object()


@dataclass(frozen=True)
class Section:
    """One [section] of a cfg."""

    path: str  # the cfg
    line: int  # the number of its first line, from 1
    name: str  # the text between the brackets
    options: dict[str, tuple[str, int]] = field(default_factory=dict)  # {option: (value, its line's number)}

    def error(self, message, option=None):
        """Return a ValueError that names the place in the cfg: the line of `option`, or the section's first line."""
        _, line = self.options.get(option, (None, self.line))
        return ValueError(f"{self.path}, line {line}, [{self.name}]: {message}")

    @property
    def place(self):
        """The section in errors: the cfg, the line and the name."""
        return f"{self.path}, line {self.line}, [{self.name}]"

    def text(self, option, default=REQUIRED):
        """Return the value of an option as it is written."""
        if option not in self.options and default is REQUIRED:
            raise self.error(f"the option {option}= is missing")
        return self.options.get(option, (default, None))[0]

    def integers(self, option, default=REQUIRED, *, low=-LARGEST, high=LARGEST):
        """Return the value of an option as integers from `low` to `high`, separated by commas."""
        text = self.text(option, default)
        if text is default:
            return default
        # A number with more digits is too large in any case, and costly to read.
        numbers = [int(n) if re.fullmatch(r"[+-]?[0-9]{1,9}", n) else None for n in map(str.strip, text.split(","))]
        if any(n is None or not low <= n <= high for n in numbers):
            raise self.error(f"expected integers from {low} to {high}. Received: {option}={shown(text)}", option)
        return numbers

    def integer(self, option, default=REQUIRED, *, low=1, high=LARGEST):
        """Return the value of an option as one integer; see `integers`."""
        numbers = self.integers(option, default, low=low, high=high)
        if numbers is default:
            return default
        if len(numbers) > 1:
            raise self.error(f"expected one integer. Received: {option}={shown(self.text(option))}", option)
        return numbers[0]

    def fraction(self, option, default):
        """Return the value of an option as a number from 0 to 1."""
        text = self.text(option, default)
        try:
            value = float(text)
        except ValueError:
            value = -1
        if not 0 <= value <= 1:
            raise self.error(f"expected a number from 0 to 1. Received: {option}={shown(text)}", option)
        return value

    def choice(self, option, default, accepted):
        """Return the value of an option that must be one of `accepted`."""
        text = self.text(option, default)
        if text not in accepted:
            names = ", ".join(accepted)
            raise self.error(f"{option} must be one of {names}. Received: {option}={shown(text)}", option)
        return text


def read_cfg(path):
    """Read a cfg as Darknet does: comments (#, ;) and blanks are ignored; of an option given twice the first counts.

    The file is UTF-8, or UTF-16 where its first bytes say so, as an editor on Windows may save it.

    Return a list of at least two `Section`s; the first is [net]. A ValueError names the file and the line where that is
    not so, or where a line is neither a section nor an option.
    """
    sections = []
    with open(path, "rb") as file:
        TEXT.check(os.fstat(file.fileno()).st_size, path)
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    with open(path, encoding="utf-16" if wide else "utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = re.split("[#;]", line, maxsplit=1)[0].strip()
            option, equals, value = map(str.strip, text.partition("="))
            if not text:
                continue
            if heading := re.fullmatch(r"\[\s*(\w+)\s*\]", text, re.ASCII):
                SECTIONS.check(len(sections), path)
                sections.append(Section(str(path), number, heading[1]))
            elif equals and sections:
                sections[-1].options.setdefault(option, (value, number))
            else:
                expected = "[section] or option=value" if sections else "[net]"
                raise ValueError(f"{path}, line {number}: expected {expected}. Received: {shown(text)}")
            if sections[0].name not in ("net", "network"):
                raise sections[0].error("a cfg begins with [net]")
    if len(sections) < 2:
        raise ValueError(f"{path}: holds {'no layers after [net]' if sections else 'nothing'}, expected a Darknet cfg")
    return sections
