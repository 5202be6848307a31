"""The sub-commands about data, `data` and `anchors`, and how every command reads its data."""

import json
from pathlib import Path

from .reading import add_source, note, note_read, read_boxes


def add(commands, count):
    """Add the group `data` to argparse's sub-commands and return it; `count` reads a number of at least 1."""
    about = "Check a data set, pack it into a few large files, or look at what a network sees of it."
    group = commands.add_parser("data", help=about, description=about).add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, help):
        sub = group.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        add_source(sub)
        sub.add_argument("--split", nargs="+", metavar="NAME", help="parts of it [all]")
        return sub

    checking = command("check", check, "Decode every image, and report what is broken, doubled or in two splits.")
    checking.add_argument("--sheet", type=Path, metavar="FILE", help="a PNG of some images with their boxes [none]")
    checking.add_argument("--json", action="store_true", help="print JSON")
    packing = command("pack", pack, "Write a data set as TFRecords, its image files as they are.")
    packing.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    packing.add_argument("--shards", type=count, default=8, help="files a split [%(default)s]")
    return group


def check(options):
    """Print what is in a data set and what is wrong with it; the status is 1 where something is broken."""
    from ..training.data.contact_sheet import write_contact_sheet
    from ..training.data.inspection import inspect
    from ..training.data.reading import read, splits

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
        note(write_contact_sheet(options.sheet, parts))
    print(json.dumps(found.to_json(), indent=2) if options.json else "\n".join(found.lines()))
    return 0 if found.passed else 1


def pack(options):
    """Write a data set as TFRecords, all of its splits with the same classes."""
    from ..training.data.packing import pack
    from ..training.data.reading import read, splits

    path, wanted = options.data, options.split or splits(options.data) or [None]
    parts = {split: read(path, split, images=options.images) for split in wanted}
    if len({data.class_names for data in parts.values()}) > 1:  # the format lists none: each split has those it shows
        names = tuple(sorted({name for data in parts.values() for name in data.class_names}))
        parts = {split: read(path, split, names, options.images) for split in wanted}
    for split, data in parts.items():
        note_read(data, path, split)
    named = {split or path.stem.removeprefix("instances_"): data for split, data in parts.items()}
    for file in pack(named, options.output, options.shards, note):
        print(file)


def anchors(options):
    """Print anchors that suit a data set, and how well these, k-means' alone and the published ones fit it."""
    import numpy as np

    from ..detection.anchors import Anchors
    from ..training.data.anchors import RATIO, anchor_fit, estimate_anchors, object_shapes

    size, data = (options.size,) * 2, read_boxes(options.data, options.split, images=options.images)
    shapes = object_shapes(data, size)
    if (different := len(np.unique(shapes, axis=0))) < options.count:
        raise ValueError(f"{options.data}: objects of {different} shapes, too few for {options.count} anchors")
    rows = {"published": Anchors.published(size)}
    for name, generations in (("k-means", 0), (f"{options.generations} generations", options.generations)):
        rows[name] = estimate_anchors(data, size, options.count, options.seed, generations=generations)
    print(f"{'':20} mean best IoU  best possible recall")
    for name, found in rows.items():
        iou, recall = anchor_fit(shapes, found.pairs)
        print(f"{name:20} {iou:13.4f} {recall:21.4f}")
    print(f"(the share of objects that some anchor matches within a factor of {RATIO:g}, in width and height)\n")
    pairs = [(round(float(w), 1), round(float(h), 1)) for w, h in rows[name].pairs]
    print("Darknet: anchors = " + ",  ".join(f"{w:g},{h:g}" for w, h in pairs))
    print(f"Python:  anchors = {pairs}")
