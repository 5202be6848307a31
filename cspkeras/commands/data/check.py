"""The sub-command `data check`: what is in a data set, and what is wrong with it."""

import json
from pathlib import Path

from ..arguments import add_command, add_data_path, add_json, add_splits
from ..reading import open_data
from ..terminal import log


def add(commands):
    """Add `check` to the `data` commands."""
    about = "Decode every image, and report broken images, duplicates, and images that are in two splits."
    parser = add_command(commands, "check", run, about, "BCCD --sheet sheet.png")
    add_data_path(parser)
    add_splits(parser)
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="PNG to draw some images and their boxes on [none]")
    add_json(parser)
    parser.set_defaults(keras=False)


def run(options):
    """Print what is in a data set and what is wrong with it; the status is 1 where something is broken."""
    from ...training.data.contact_sheet import write_contact_sheet
    from ...training.data.images import shown
    from ...training.data.inspection import inspect

    data_set = open_data(options)
    parts, unreadable = {}, []
    for split in dict.fromkeys(map(data_set.named, options.split or data_set.splits or [None])):
        try:
            parts[split] = data_set.read(split, images=options.images)
        except (OSError, ValueError) as e:
            unreadable.append(e)
    if not parts:
        raise unreadable[0]
    found = inspect(parts)
    found.problems[:0] = (shown(str(error)) for error in unreadable)
    unusable, unused = data_set.leftovers(list(parts.values()))
    found.problems.extend(unusable)
    if not options.split:
        found.unused.extend(unused)
    seen = data_set.seen(parts)
    if options.sheet:
        log(write_contact_sheet(options.sheet, parts))
    if options.json:
        print(json.dumps({"seen": seen, **found.to_json()}, indent=2))
    else:
        print(seen, *found.lines(), sep="\n")
    return 0 if found.passed else 1
