"""The sub-command `data check`: what is in a data set, and what is wrong with it."""

import json
from pathlib import Path

from ..arguments import add_command, add_data_path, add_json, add_splits
from ..reading import log


def add(commands):
    """Add `check` to the `data` commands."""
    about = "Decode every image, and report broken images, duplicates, and images that are in two splits."
    parser = add_command(commands, "check", run, about)
    add_data_path(parser)
    add_splits(parser)
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="PNG to draw some images and their boxes on [none]")
    add_json(parser)


def run(options):
    """Print what is in a data set and what is wrong with it; the status is 1 where something is broken."""
    from ...training.data.contact_sheet import write_contact_sheet
    from ...training.data.inspection import inspect
    from ...training.data.reading import read, splits

    parts, unreadable = {}, []
    for split in options.split or splits(options.data) or [None]:
        try:
            parts[split] = read(options.data, split, images=options.images)
        except (OSError, ValueError) as e:
            unreadable.append(e)
    if not parts:
        raise unreadable[0]
    found = inspect(parts)
    found.problems[:0] = map(str, unreadable)
    if options.sheet:
        log(write_contact_sheet(options.sheet, parts))
    print(json.dumps(found.to_json(), indent=2) if options.json else "\n".join(found.lines()))
    return 0 if found.passed else 1
