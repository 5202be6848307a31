"""The sub-command `data show`: a sheet of what the network sees in training."""

from pathlib import Path

from ..arguments import DEFAULT_SIZE, add_command, add_data_path, add_split, count, seed
from ..reading import read_data
from ..terminal import log

BOTH = {  # option: what it means
    "mosaic": "probability that four images are joined",
    "mixup": "probability that another image is mixed in",
    "flip": "probability of mirroring",
    "blur": "probability of a blur",
}
DETECTION = {
    "crop": "probability of a random crop",
    "scale": "a random scale instead of the crop; 1 is the scale that fits",
    "cached": "draw the images to join and to mix in from the N just before",
    "color": "probability of other colours",
    "multiscale": "largest factor of the input's size, drawn every ten batches; 1 for none",
}
CLASSIFICATION = {
    "cutmix": "probability that a rectangle shows another image",
    "angle": "largest rotation, in degrees",
    "hue": "largest change, as a part of the colour circle",
    "saturation": "largest factor",
    "exposure": "largest factor",
    "aspect": "largest factor",
    "label_smoothing": "part of each label that is spread over all classes",
    "rescale": "pixels of the shorter side before the crop",
}
PAIR = dict(nargs=2, metavar=("LEAST", "MOST"))
KINDS = {
    "rescale": dict(type=count, **PAIR),
    "scale": dict(type=float, **PAIR),
    "cached": dict(type=count, metavar="N"),
}


def add(commands):
    """Add `show` to the `data` commands."""
    about = "Draw what the network sees in training: augmented images with their boxes or labels."
    parser = add_command(commands, "show", run, about, "BCCD --output sheet.png")
    add_data_path(parser)
    add_split(parser, "train")
    parser.add_argument("--output", type=Path, required=True, help="the image to write, such as sheet.png")
    parser.add_argument("--size", type=count, default=DEFAULT_SIZE, help="side of the input in pixels [%(default)s]")
    parser.add_argument("--count", type=count, default=16, help="images on the sheet [%(default)s]")
    parser.add_argument("--seed", type=seed, default=0, help="[%(default)s]")
    for title, options in (("any data", BOTH), ("detection", DETECTION), ("classification", CLASSIFICATION)):
        group = parser.add_argument_group(f"augmentation, {title}", "options left out are as in training by default")
        for name, meaning in options.items():
            group.add_argument(_flag(name), **KINDS.get(name, dict(type=float, metavar="X")), help=meaning)


def _flag(name):
    return f"--{name.replace('_', '-')}"


def run(options):
    """Draw the sheet and print its path."""
    from ...files import replacing
    from ...training.data.examples import ClassificationData
    from ...training.pipeline.preview import draw_preview

    data = read_data(options, options.split)
    kind, own, other = "detection", {**BOTH, **DETECTION}, CLASSIFICATION
    if isinstance(data, ClassificationData):
        kind, own, other = "classification", {**BOTH, **CLASSIFICATION}, DETECTION
    for name in other:
        if getattr(options, name) is not None:
            raise ValueError(f"{_flag(name)}: {options.data} is {kind} data, which has no such option")
    augment = {name: getattr(options, name) for name in own if getattr(options, name) is not None}
    size = (options.size,) * 2
    image = draw_preview(data, size, options.count, seed=options.seed, augment=augment, report=log)
    with replacing(options.output) as aside:
        try:
            image.save(aside)
        except (KeyError, ValueError) as e:  # Pillow's, without the file's name
            raise ValueError(f"{options.output}: not a known kind of image, expected a name such as sheet.png") from e
    print(options.output)
