"""Arguments that several commands have."""

import argparse
import sys
from pathlib import Path

FOLDERS = "folder of a known format: Pascal VOC, COCO, YOLO, TFRecords; or tfds:NAME"


def number(kind, least, most=sys.maxsize):
    """A function that reads a number in least..most from text, for argparse."""

    def read(text):
        value = kind(text)
        if not least <= value <= most:
            limits = f"at least {least}" if most == sys.maxsize else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {limits}, received {text}")
        return value

    return read


count, rate, probability = number(int, 1), number(float, 0.0), number(float, 0.0, 1.0)


def batch(text):
    return text if text == "auto" else count(text)


def side(text):
    value = count(text)
    if value % 32:
        raise argparse.ArgumentTypeError(f"must be a multiple of 32, received {text}")
    return value


def add_data(parser, *, split):
    parser.add_argument("--data", type=Path, required=True, help="folder or file of any known format, or tfds:NAME")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the images of a COCO file [beside it]")
    parser.add_argument("--split", default=split, help="part of a folder [%(default)s]")


def add_recipe(parser, recipe):
    parser.add_argument("--recipe", default=recipe, metavar="R", help="of the package's recipes, or a .toml file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe; repeatable"
    )
    parser.add_argument("--epochs", type=count, help="[the recipe's, as with all that follow]")
    parser.add_argument("--batch-size", type=batch, help='images a step, or "auto"')
    parser.add_argument("--learning-rate", type=rate)
    parser.add_argument("--mosaic", type=probability, help="probability")
    parser.add_argument("--flip", type=probability, help="probability of mirroring")
    parser.add_argument("--seed", type=number(int, 0, 2**32 - 1))
    parser.add_argument("--resume", action="store_true", help="go on from the last state in the run's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a run in the folder")


MODEL = "CSPPeleeNetEFM"  # where none is named


SIZE = 416  # pixels; a classifier's is that of its published figures


def recipe_of(options):
    """The `Recipe` of a command: that of --recipe, changed by --set and then by the flags.

    Raises:
        OSError, ValueError: as `load_recipe` and `changed`.
    """
    from ..training.recipes.recipe import Recipe, changed, load_recipe, settings

    recipe = load_recipe(options.recipe) if options.recipe else Recipe()
    recipe = changed(recipe, settings(options.set), "--set: ")
    flags = {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate", "seed")}
    augment = {name: getattr(options, name) for name in ("mosaic", "flip")}
    flags["augment"] = {name: value for name, value in augment.items() if value is not None}
    return changed(recipe, {name: value for name, value in flags.items() if value is not None})
