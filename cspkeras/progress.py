"""How far work that takes long has come: one line on a terminal."""

import os
import sys
import time
from contextlib import contextmanager

PATIENCE = 2.0  # seconds until it is shown
EVERY = 256  # items between two looks at the clock


def interactive(stream):
    """Return whether a progress bar is at home on a stream: on a terminal that takes colours, or in a notebook."""
    on_terminal = getattr(stream, "isatty", bool)()  # there may be none, of a program without a window
    return "ipykernel" in sys.modules or (on_terminal and not os.environ.get("NO_COLOR"))


@contextmanager
def progress(text, total=None, patience=PATIENCE):
    """Yield a function of what is done so far, which writes "text: 40%" or, without a total, the number itself.

    Args:
        text: what is done.
        total: how much there is to do, None where that is not known.
        patience: seconds that pass without a word. What takes less, and what is not on a terminal, has no line.
    """
    start, shown = time.monotonic(), None

    def tell(done):
        nonlocal shown
        share = f"{done / total:.0%}" if total else f"{done:,}"
        if share != shown and time.monotonic() - start >= patience:
            print(f"\r{text}: {share}", end="", file=sys.stderr, flush=True)
            shown = share

    if not sys.stderr.isatty():
        yield lambda done: None
        return
    try:
        yield tell
    finally:
        if shown is not None:
            print(file=sys.stderr)


def followed(items, text):
    """Yield the items of a list, or of anything else that can be gone through, and show how many are done."""
    with progress(text, len(items) if hasattr(items, "__len__") else None) as tell:
        for done, item in enumerate(items):
            if not done % EVERY:
                tell(done)
            yield item
