"""The group of sub-commands `data`, which check, pack, draw and serve a data set."""

from ..arguments import Formatter
from . import check, pack, serve, show


def add(commands):
    """Add `data` and its sub-commands."""
    about = "Check a data set, pack it into a few large files, draw what a network sees of it, or serve it."
    group = commands.add_parser("data", help=about, description=about, formatter_class=Formatter)
    inner = group.add_subparsers(required=True, metavar="COMMAND")
    for command in (check, pack, show, serve):
        command.add(inner)
    group.epilog = inner.choices["check"].epilog
