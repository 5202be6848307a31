"""Text from outside, such as names in a file, in which no control character reaches a terminal or a page."""

import contextlib
import os
import re
import sys

LONGEST = 4000  # characters of a line for people
# C0 but for the tab and the line's end, DEL, C1, what turns the direction of the text around it or marks one, and what
# no UTF-8 or XML may hold.
CONTROLS = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
# What each write of Keras' progress bar begins with: back to the line's start, or a new line, and a bar in colours.
KERAS_BAR = re.compile(
    r"([\b]*\r|\n)( *\d+/(\d+|Unknown)|\x1b\[1m *\d+/\d+\x1b\[0m (\x1b\[32m[━=]+\x1b\[0m)?\x1b\[37m[━=]*\x1b\[0m"
    r" \x1b\[1m[\d:]+s?\x1b\[0m)"
)


def printable(text):
    """Return the text with its control characters as Python's ascii() writes them, such as \\x1b."""
    return CONTROLS.sub(lambda found: _named(found[0]), text)


def one_line(message):
    """Return a message in one line, without the addresses of objects, and without the middle of a long one."""
    return shortened(" ".join(re.sub(r" at 0x[0-9A-Fa-f]+", "", str(message)).split()))


def shortened(line):
    """Return a line of at most `LONGEST` characters; a longer one has a note in place of its middle."""
    if len(line) <= LONGEST:
        return line
    half = LONGEST // 2 - 20
    return f"{line[:half]} [... {len(line) - 2 * half:,} characters] {line[-half:]}"


def _named(character):
    # JSON may hold a DEL as it is, and so it must stay JSON.
    return "\\u007f" if character == "\x7f" else ascii(character)[1:-1]


class Printable:
    """A text stream that writes what is `printable`, and what its encoding lacks as ascii() does.

    A return at the beginning of a write stays, and Keras' bar after it: they draw progress in one line. With `short`,
    lines are `shortened`, as those for people are.
    """

    def __init__(self, stream, short=False):
        self._stream, self._short = stream, short

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """Write a text; return its length."""
        bar = KERAS_BAR.match(text) or re.match("\r?", text)
        rest, encoding = text[bar.end() :], getattr(self._stream, "encoding", None) or "utf-8"
        if self._short and len(rest) > LONGEST:
            rest = "\n".join(map(shortened, rest.split("\n")))
        rest = printable(rest)
        self._stream.write(bar[0] + rest.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines):
        """Write several texts."""
        for line in lines:
            self.write(line)


@contextlib.contextmanager
def printable_output():
    """Make the standard output and error `Printable` for the length of a block."""
    with (
        contextlib.redirect_stdout(Printable(_opened(sys.stdout, 1))),
        contextlib.redirect_stderr(Printable(_opened(sys.stderr, 2), short=True)),
    ):
        yield


def _opened(stream, number):
    """Return a standard stream; in place of one that was closed, as by >&-, one that swallows what is written."""
    if stream is not None:
        return stream
    try:
        os.fstat(number)
    except OSError:  # else the next file that is opened had its number
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != number:
            os.dup2(nowhere, number)
    return open(os.devnull, "w")
