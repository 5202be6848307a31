"""The sub-command `data pack`: a data set as TFRecords."""

from pathlib import Path

from ..arguments import add_command, add_data_path, add_splits, count
from ..reading import log_data, open_data
from ..terminal import log


def add(commands):
    """Add `pack` to the `data` commands."""
    parser = add_command(
        commands, "pack", run, "Write a data set as TFRecords, its image files unchanged.", "BCCD --output records"
    )
    add_data_path(parser)
    add_splits(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write the TFRecords")
    parser.add_argument("--shards", type=count, default=8, help="files per split [%(default)s]")


def run(options):
    """Write a data set as TFRecords, all of its splits with the same classes."""
    from ...training.data.packing import pack

    path, data_set = options.data, open_data(options)
    wanted = dict.fromkeys(map(data_set.named, options.split or data_set.splits or [None]))
    parts = {split: data_set.read(split, images=options.images) for split in wanted}
    if len({data.class_names for data in parts.values()}) > 1:  # the format lists none: each split has those it shows
        names = tuple(sorted({name for data in parts.values() for name in data.class_names}))
        parts = {split: data_set.read(split, names, options.images) for split in wanted}
    for split, data in parts.items():
        log_data(data, path, split)
    for line in data_set.leftovers(list(parts.values()))[0]:
        log(line)
    whole = path.resolve().stem.removeprefix("instances_") or "all"
    named = {split or whole: data for split, data in parts.items()}
    for file in pack(named, options.output, options.shards, log):
        print(file)
