"""The sub-command `show`: a sheet of what the network sees in training."""

import argparse
from pathlib import Path

from .reading import add_source, note, read_data

BOTH = {  # option: what it means
    "mosaic": "probability that four images are joined",
    "mixup": "probability that another image is mixed in",
    "flip": "probability of mirroring",
    "blur": "probability of a blur",
}
DETECTION = {
    "crop": "probability of a random crop",
    "color": "probability of other colours",
    "multiscale": "largest factor of the images' shape, changed every ten batches; 1 for none",
}
CLASSIFICATION = {
    "cutmix": "probability that a rectangle shows another image",
    "angle": "largest one, in degrees",
    "hue": "its largest turn, in parts of the circle",
    "saturation": "largest factor",
    "exposure": "largest factor",
    "aspect": "largest factor",
    "label_smoothing": "part of a label that all classes share",
}


def add(commands):
    """Add `show` to a group of sub-commands."""
    help = "Draw what the network sees in training: augmented images with their boxes or labels."
    parser = commands.add_parser("show", help=help, description=help)
    parser.set_defaults(run=_show)
    add_source(parser)
    parser.add_argument("--split", default="train", help="part of a folder [%(default)s]")
    parser.add_argument("--output", type=Path, required=True, help="the image to write, such as sheet.png")
    parser.add_argument("--size", type=_positive, default=416, help="side of the input in pixels [%(default)s]")
    parser.add_argument("--count", type=_positive, default=16, help="images on the sheet [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    for title, options in (("any data", BOTH), ("detection", DETECTION), ("classification", CLASSIFICATION)):
        group = parser.add_argument_group(f"augmentation, {title}", "what is left out is as in training by default")
        for name, meaning in options.items():
            group.add_argument(_flag(name), type=float, metavar="X", help=meaning)
    pixels = dict(type=_positive, nargs=2, metavar=("LEAST", "MOST"))
    group.add_argument("--rescale", **pixels, help="pixels of the shorter side before the crop")


def _flag(name):
    return f"--{name.replace('_', '-')}"


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {text}")
    return value


def _show(options):
    from ..files import replacing
    from ..training.data.examples import ClassificationData
    from ..training.pipeline.preview import sheet

    data = read_data(options.data, options.split, images=options.images)
    kind, own, other = "detection", {**BOTH, **DETECTION}, {**CLASSIFICATION, "rescale": ""}
    if isinstance(data, ClassificationData):
        kind, own, other = "classification", {**BOTH, **CLASSIFICATION, "rescale": ""}, DETECTION
    for name in other:
        if getattr(options, name) is not None:
            raise ValueError(f"{_flag(name)}: {options.data} is {kind} data, which has no such option")
    augment = {name: getattr(options, name) for name in own if getattr(options, name) is not None}
    size = (options.size,) * 2
    image = sheet(data, size, options.count, seed=options.seed, augment=augment, report=note)
    with replacing(options.output) as aside:
        image.save(aside)
    print(options.output)
