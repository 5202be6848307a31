"""Parsers of sub-commands: the arguments that several have, and the types of their values."""

import argparse
import sys
from pathlib import Path

from ..tflite.device.command import numbers
from ..training.data.reading import format_keys, known_formats

DATA_HELP = f"data set: {known_formats()}"
DEFAULT_MODEL = "CSPPeleeNetEFM"
DEFAULT_SIZE = 416  # pixels
EXAMPLE = "example:\n  "


class Formatter(argparse.HelpFormatter):
    """Leaves an example in one line, from which it can be copied."""

    def _fill_text(self, text, width, indent):
        return text if text.startswith(EXAMPLE) else super()._fill_text(text, width, indent)


def number(kind, least, most=sys.maxsize):
    """Return a function that reads a number in least..most from text, for argparse."""

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {wanted}, received {text}") from None
        if not least <= value <= most:
            limits = f"at least {least}" if most == sys.maxsize else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {limits}, received {text}")
        return value

    return read


count, rate, probability = number(int, 1), number(float, 0.0), number(float, 0.0, 1.0)
port, seed = number(int, 0, 2**16 - 1), number(int, 0, 2**32 - 1)


def batch(text):
    """Read a batch size, a number or "auto"."""
    return text if text == "auto" else count(text)


def side(text):
    """Read the side of a network's input, in pixels."""
    value = count(text)
    if value % 32:
        raise argparse.ArgumentTypeError(f"must be a multiple of 32, received {text}")
    return value


class _Sides(argparse.Action):
    """Keeps (height, width), of one number a square."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            raise argparse.ArgumentError(self, f"takes one side or HEIGHT WIDTH, received {len(values)} numbers")
        setattr(namespace, self.dest, (values[0], values[-1]))


def add_size(parser, usual, default=None, kind=side):
    """Add the size of a network's input; `usual` says what it is if left out, where its value is `default`."""
    about = f"side of the input in pixels, or its height and width [{usual}]"
    parser.add_argument("--size", type=kind, nargs="+", action=_Sides, default=default, metavar="SIDE", help=about)


def add_command(commands, name, run, help, example):
    """Add a sub-command that `run(options)` carries out, and return its parser; its help ends with the example."""
    parser = commands.add_parser(name, help=help, description=help, formatter_class=Formatter)
    parser.epilog = f"{EXAMPLE}{parser.prog} {example}".rstrip()
    parser.set_defaults(run=run)
    return parser


def add_weights(parser, also="a file of its weights"):
    """Add published weights by name."""
    names = "coco, imagenet or bccd (`cspkeras models --weights` lists them)"
    parser.add_argument(
        "--weights", type=Path, metavar="NAME|FILE", help=f"weights of the network --model: {names}, or {also}"
    )


def add_format(parser):
    """Add in which format a data set is read."""
    about = "format of the data [what fits; boxes win over classes]"
    parser.add_argument("--format", choices=format_keys(), metavar="F", help=f"{about}: {', '.join(format_keys())}")


def add_images(parser):
    """Add in which format a data set is read, and where the images of a COCO file are."""
    add_format(parser)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images of a COCO file [beside the file]")


def add_data(parser, *, split):
    """Add the data set that a command measures, and which split of it."""
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    add_images(parser)
    add_split(parser, split)


def add_data_path(parser):
    """Add the data set of a `data` command, which is not an option there."""
    parser.add_argument("data", type=Path, metavar="PATH", help=DATA_HELP)
    add_images(parser)


def add_split(parser, default):
    """Add which split of a data set is read."""
    parser.add_argument("--split", default=default, help="split of a folder [%(default)s]")


def add_splits(parser):
    """Add which splits of a data set are read."""
    parser.add_argument("--split", nargs="+", metavar="NAME", help="splits of a folder [all]")


def add_training_data(parser, without=None):
    """Add the data set of a training, and which of its splits are trained and validated on.

    `without` says what is trained on where no data set is given; None: one must be given.
    """
    about = f"{DATA_HELP}; for a classifier, labelled images{f' [{without}]' if without else ''}"
    parser.add_argument("--data", type=Path, required=not without, help=about)
    add_format(parser)
    parser.add_argument("--train-split", default="train", help="[%(default)s]")
    parser.add_argument("--val-split", default="val", help="[%(default)s, also called valid]")


def add_run_folder(parser, default):
    """Add the folder that a run is kept in."""
    parser.add_argument("--run", dest="folder", type=Path, default=Path(default), help="the run's folder [%(default)s]")


def add_token(parser, whose):
    """Add where the token of a data service is."""
    parser.add_argument(
        "--token", type=Path, metavar="FILE", help=f"file with the token {whose} [$CSPKERAS_TOKEN, which is the token]"
    )


def add_refine(parser, default, what="fitting"):
    """Add how long an int8 network is fitted to the float model."""
    about = f"steps of {what} to the float model [%(default)s]"
    parser.add_argument("--refine", type=number(int, 0), default=default, metavar="STEPS", help=about)


def add_pixels(parser):
    """Add the range in which a user's model takes pixels, and what its scores are, where its layers don't show it."""
    about = "the input is (pixel - mean) * scale, pixels in 0..255; one number or one for each channel"
    shown = "as the first layers show, or 0..1"
    parser.add_argument("--mean", type=numbers, metavar="M", help=f"{about}, such as 127.5 or 124,116,104 [{shown}]")
    parser.add_argument("--scale", type=numbers, metavar="S", help=f"see --mean; such as 1/127.5 [{shown}]")
    kinds = ("softmax", "sigmoid", "logits")
    parser.add_argument("--scores", choices=kinds, help="what a classifier returns [as its last layers show]")


def add_json(parser):
    """Add the choice of JSON instead of text."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_recipe(parser, default):
    """Add the recipe and the flags that change it, which `recipe_of` reads, and how a run is continued or replaced."""
    parser.add_argument("--recipe", default=default, metavar="R", help="a recipe of the package, or a .toml file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe; repeatable"
    )
    parser.add_argument("--epochs", type=count, help="this flag and those below replace the recipe's values")
    parser.add_argument("--batch-size", type=batch, help='images per step, or "auto"')
    parser.add_argument("--learning-rate", type=rate)
    parser.add_argument("--mosaic", type=probability, help="probability")
    parser.add_argument("--flip", type=probability, help="probability of mirroring")
    parser.add_argument("--seed", type=seed)
    parser.add_argument(
        "--data-workers",
        type=number(int, 0),
        metavar="N",
        help="processes that decode and augment, 0 for none [one per core, none for small data]",
    )
    parser.add_argument("--resume", action="store_true", help="continue from the last state in the run's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    parser.set_defaults(resume_hint=_resume_hint)


def _resume_hint(options):
    from ..training.run.state import LAST

    return "; continue with --resume" if (options.folder / LAST).exists() else ""


def recipe_of(options):
    """Return the `Recipe` of a command: that of --recipe, changed by --set and then by the flags."""
    from ..training.recipes.recipe import Recipe, changed, load_recipe, settings

    recipe = load_recipe(options.recipe) if options.recipe else Recipe()
    recipe = changed(recipe, settings(options.set), "--set: ")
    flags = {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate", "seed", "data_workers")}
    augment = {name: getattr(options, name) for name in ("mosaic", "flip")}
    flags["augment"] = {name: value for name, value in augment.items() if value is not None}
    return changed(recipe, {name: value for name, value in flags.items() if value is not None})
