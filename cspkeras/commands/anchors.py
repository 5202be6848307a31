"""The sub-command `anchors`: anchor boxes estimated from a data set."""

from .arguments import DEFAULT_SIZE, add_command, add_data, add_size, count, number
from .reading import read_boxes


def add(commands):
    """Add `anchors` to the sub-commands."""
    about = "Estimate anchors that fit a data set, and compare them with the published ones."
    parser = add_command(commands, "anchors", run, about, "--data BCCD")
    add_data(parser, split="train")
    add_size(parser, DEFAULT_SIZE, (DEFAULT_SIZE, DEFAULT_SIZE))
    parser.add_argument("--count", type=count, default=9, help="number of anchors, a multiple of three [%(default)s]")
    parser.add_argument(
        "--generations", type=number(int, 0), default=1000, help="mutations after k-means [%(default)s]"
    )
    parser.add_argument("--seed", type=number(int, 0), default=0, help="[%(default)s]")


def run(options):
    """Print the anchors, and how well they, those of k-means alone and the published ones fit the data."""
    import numpy as np

    from ..detection.anchors import Anchors
    from ..training.data.anchors import RATIO, anchor_fit, estimate_anchors, object_shapes

    size, data = options.size, read_boxes(options, options.split)
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
