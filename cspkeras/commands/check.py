"""The sub-command `check`: a .tflite file on LiteRT's CPU and GPU delegate, and on an NPU by its compiler."""

import json
from pathlib import Path

from .arguments import add_command, add_json
from .reading import read_arrays

MAX_IMAGES = 8


def add(commands):
    """Add `check` to the sub-commands."""
    about = "Run a .tflite file on LiteRT's CPU and GPU delegate and compare; count what it computes in floats."
    parser = add_command(commands, "check", run, about, "int8.tflite --reference runs/train/best.keras")
    parser.add_argument("file", type=Path, help="the .tflite file")
    parser.add_argument("--reference", type=Path, metavar="MODEL.keras", help="Keras model that the file comes from")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--images", type=Path, metavar="FOLDER", help="images to compare on [noise]")
    of_names = "arrays to compare on, one for each input by its name, of a run in each row [noise]"
    given.add_argument("--inputs", type=Path, metavar="FILE.npz", help=of_names)
    of_npus = "compile it with Arm's Vela as well, for ethos-u55-128, ethos-u65-256, ethos-u85-256 or another [no NPU]"
    parser.add_argument("--npu", metavar="NPU", help=of_npus)
    add_json(parser)


def run(options):
    """Print how the file compares; the status is 1 where it does not pass."""
    from ..tflite.proof.check import check

    inputs = None
    if options.images:
        inputs = _images(options.file, options.images)
    elif options.inputs:
        inputs = read_arrays(options.inputs)
    checked = check(options.file, reference=options.reference, images=inputs, npu=options.npu)
    print(json.dumps(checked.to_json(), indent=2) if options.json else checked.table())
    return 0 if checked.passed else 1


def _images(file, folder):
    """Return the first images of a folder as the device's script feeds them to the network in a file."""
    import numpy as np

    from ..tflite.device.classify import Classifier
    from ..tflite.device.detect import Detector
    from ..tflite.device.frames import image_files, load_image
    from ..tflite.export.metadata import NoSettingsError, read
    from ..tflite.runtime.litert import run_cpu

    run_cpu(file)  # a damaged file ends a child process, before this one loads it
    try:
        task = read(file)[0].get("task")
    except NoSettingsError as error:
        raise ValueError(f"{file}: does not say how it takes images; give them as arrays with --inputs") from error
    network = (Classifier if task == "classification" else Detector)(file)
    images = [load_image(path) for path in image_files(str(folder))[:MAX_IMAGES]]
    if not images:
        raise ValueError(f"{folder}: no images, expected a folder of images")
    return np.concatenate([network.prepare(np.asarray(image))[0] for image in images])
