"""The sub-command `check`: a .tflite file on LiteRT's CPU and GPU delegate."""

import json
from pathlib import Path

from .arguments import add_command, add_json

MAX_IMAGES = 8


def add(commands):
    """Add `check` to the sub-commands."""
    parser = add_command(commands, "check", run, "Run a .tflite file on LiteRT's CPU and GPU delegate and compare.")
    parser.add_argument("file", type=Path, help="the .tflite file")
    parser.add_argument("--reference", type=Path, metavar="MODEL.keras", help="Keras model that the file comes from")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images to compare on [noise]")
    add_json(parser)


def run(options):
    """Print how the file compares; the status is 1 where it does not pass."""
    from ..tflite.proof.check import check

    images = _inputs(options.file, options.images) if options.images else None
    checked = check(options.file, reference=options.reference, images=images)
    print(json.dumps(checked.to_json(), indent=2) if options.json else checked.table())
    return 0 if checked.passed else 1


def _inputs(file, folder):
    """Return the first images of a folder as inputs of a network in a file."""
    import numpy as np

    from ..tflite.device.detect import Detector
    from ..tflite.device.frames import image_files, load_image, to_input

    settings = Detector.read_settings(file)[0]["input"]
    images = [load_image(path) for path in image_files(str(folder))[:MAX_IMAGES]]
    if not images:
        raise ValueError(f"{folder}: no images, expected a folder of images")
    size = settings["height"], settings["width"]
    pixels = np.stack([to_input(np.asarray(image), size, settings["resize"], settings["fill"]) for image in images])
    return ((pixels - np.float32(settings["mean"])) * np.float32(settings["scale"])).astype("float32")
