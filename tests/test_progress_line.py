"""The line that shows how far long work is: on a terminal alone, and not for what is quick."""

import io

import pytest

from cspkeras import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "stream, seconds, items, shown",
    (
        (Terminal, 0.7, list(range(1000)), "\rreading: 51%\rreading: 77%\n"),
        (Terminal, 0.7, iter(range(1000)), "\rreading: 512\rreading: 768\n"),
        (Terminal, 0.001, list(range(1000)), ""),
        (Terminal, 1.0, [], ""),
        (io.StringIO, 1.0, list(range(1000)), ""),
    ),
)
def test_a_line_after_two_seconds(monkeypatch, stream, seconds, items, shown):
    times, out = iter(range(10**6)), stream()
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times) * seconds)
    monkeypatch.setattr(progress.sys, "stderr", out)
    expected = list(range(1000)) if items != [] else []
    assert list(progress.followed(items, "reading")) == expected and out.getvalue() == shown
