"""The token of a data service, which whoever wants its batches has to know."""

import os
from pathlib import Path

OPTION, VARIABLE = "--token", "CSPKERAS_TOKEN"
SHORTEST, LONGEST = 16, 1000  # characters


def token_of(file=None):
    """Return the token in a file, without one that in $CSPKERAS_TOKEN, or None.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not a token: 16 to 1,000 printable characters.
    """
    if file:
        with Path(file).open("rb") as opened:
            text = opened.read(LONGEST * 4 + 1).decode("utf-8", "replace").strip()
    elif not (text := os.environ.get(VARIABLE)):
        return None
    if not (text.isprintable() and SHORTEST <= len(text) <= LONGEST):
        place = f"{OPTION} {file}" if file else VARIABLE
        raise ValueError(f"{place}: expected a token of {SHORTEST} to {LONGEST:,} printable characters")
    return text
