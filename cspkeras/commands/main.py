"""The `cspkeras` command. Each sub-command is a thin wrapper around a function of the library."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import analyze as analyze_command
from . import data as data_commands
from . import evaluate as evaluate_command
from . import export as export_command
from . import files as device_commands
from . import quantize as quantize_command
from . import serve_data as serve_command
from . import show as show_command
from .arguments import (
    FOLDERS,
    MODEL,
    SIZE,
    add_data,
    add_recipe,
    count,
    number,
    probability,
    rate,
    recipe_of,
    side,
)
from .train import machines, starting_point


def main(arguments=None):
    """Run the command line; returns the exit status."""
    options = make_parser().parse_args(arguments)
    try:
        status = options.run(options) or 0
        sys.stdout.flush()  # where nobody reads on, that shows here and not at Python's end
        return status
    except BrokenPipeError:  # of `cspkeras ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes
        return 141  # as a shell says of a command that SIGPIPE ends
    except KeyboardInterrupt:
        return _failed(f"interrupted{_going_on(options)}", 130)
    except (ImportError, OSError, ValueError, RuntimeError) as e:
        if options.traceback:
            raise
        missing = "; install what is missing with: pip install 'cspkeras[all]'" if isinstance(e, ImportError) else ""
        return _failed(f"{e}{missing}")


def _failed(message, status=1):
    print(f"cspkeras: {' '.join(message.split())}", file=sys.stderr)
    return status


def _going_on(options):
    if options.run is _demo:
        return "; the same command goes on"
    from ..training.run.state import LAST

    return "; go on with --resume" if "resume" in options and (options.folder / LAST).exists() else ""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, as all others are."""

    def error(self, message):
        self.exit(2, f"cspkeras: {message}; see {self.prog} --help\n")


def make_parser():
    parser = _Parser(prog="cspkeras", description="CSP networks in Keras, from training to the phone.")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, help):
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    models = command("models", _models, "List the networks: what is counted here beside what was published.")
    models.add_argument("pattern", nargs="?", default="*", help="of their names, such as 'CSP*' [all]")

    analyze_command.add(commands, side, count)

    train = command("train", _train, "Train a detector or a classifier on images of your own.")
    train.add_argument("--data", type=Path, required=True, help=f"{FOLDERS}; for a classifier a folder of classes")
    train.add_argument(
        "--model", default=MODEL, metavar="NAME", help="a detector or backbone of `cspkeras models` [%(default)s]"
    )
    train.add_argument(
        "--run", dest="folder", type=Path, default=Path("runs/train"), help="folder of the run [%(default)s]"
    )
    train.add_argument("--size", type=side, help=f"side of the input in pixels [{SIZE}, or the model's own]")
    train.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="a .keras detector to start from, or published weights of --model: a .onnx, .weights or NAME.conv.K file",
    )
    train.add_argument("--train-split", default="train", help="[%(default)s]")
    train.add_argument("--val-split", default="val", help="[%(default)s]")
    train.add_argument("--gpus", type=count, metavar="N", help="of this machine, all training together [one]")
    train.add_argument(
        "--workers", metavar="HOST:PORT,...", help="machines that train together, on JAX; all get this list [none]"
    )
    train.add_argument("--rank", type=number(int, 0), metavar="I", help="which of them this is, from 0")
    train.add_argument("--data-service", metavar="HOST:PORT", help="a `cspkeras data serve` that decodes and augments")
    add_recipe(train, None)

    about = "A detector or a classifier in 8 bits, by as little training as will do."
    quantize = command("quantize", quantize_command.quantize, about)
    quantize.add_argument("--model", type=Path, required=True, help="a .keras detector or classifier")
    quantize.add_argument("--data", type=Path, required=True, help=f"{FOLDERS}; for a classifier a folder of classes")
    quantize.add_argument("--run", dest="folder", type=Path, default=Path("runs/quantize"), help="[%(default)s]")
    quantize.add_argument("--train-split", default="train", help="[%(default)s]")
    quantize.add_argument("--val-split", default="val", help="[%(default)s]")
    quantize.add_argument(
        "--loss",
        type=rate,
        default=0.01,
        help="mAP, or top-1 accuracy, that may be lost without further training [%(default)s]",
    )
    quantize.add_argument(
        "--refine",
        type=number(int, 0),
        default=1000,
        metavar="STEPS",
        help="of fitting to the floats [%(default)s]",
    )
    add_recipe(quantize, "quantization")

    evaluate = command("evaluate", evaluate_command.evaluate, "A detector's COCO figures, or a classifier's accuracy.")
    evaluate.add_argument("--model", type=Path, required=True, help="a .keras or .tflite detector or classifier")
    add_data(evaluate, split="test")
    evaluate.add_argument("--output", type=Path, metavar="FOLDER", help="for evaluation.html and .json [none]")
    evaluate.add_argument(
        "--score", type=probability, default=0.25, help="of a detector's confusion matrix [%(default)s]"
    )
    evaluate.add_argument("--iou", type=probability, default=0.5, help="the same [%(default)s]")
    evaluate.add_argument("--json", action="store_true", help="print JSON")

    anchors = command("anchors", data_commands.anchors, "Anchors that suit a data set, beside the published ones.")
    add_data(anchors, split="train")
    anchors.add_argument("--size", type=side, default=SIZE, help="side of the input in pixels [%(default)s]")
    anchors.add_argument("--count", type=count, default=9, help="a multiple of three [%(default)s]")
    anchors.add_argument("--generations", type=number(int, 0), default=1000, help="of mutations [%(default)s]")
    anchors.add_argument("--seed", type=number(int, 0), default=0, help="[%(default)s]")

    export = command("export", export_command.export, "Convert a detector or a classifier to a .tflite file.")
    export.add_argument("--model", type=Path, required=True, help="a .keras detector or classifier")
    target = export.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, help="the .tflite file to write")
    target.add_argument("--android", type=Path, metavar="FOLDER", help="the Android demo whose assets get the file")
    export.add_argument(
        "--precision", choices=("float32", "float16", "dynamic", "int8"), default="float16", help="[%(default)s]"
    )
    export.add_argument(
        "--data",
        type=Path,
        help=f"{FOLDERS} whose training images calibrate int8, and whose classes a classifier's are that names none",
    )
    export.add_argument(
        "--refine", type=number(int, 0), default=0, metavar="STEPS", help="of fitting int8 to the model [%(default)s]"
    )
    export.add_argument("--train-split", default="train", help="[%(default)s]")

    check = command("check", _check, "Run a .tflite file on LiteRT's CPU and GPU delegate and compare.")
    check.add_argument("file", type=Path)
    check.add_argument("--reference", type=Path, metavar="MODEL.keras", help="the Keras model that the file comes from")
    check.add_argument("--images", type=Path, metavar="FOLDER", help="images to compare on [noise]")
    check.add_argument("--json", action="store_true", help="print JSON")

    data = data_commands.add(commands, count)
    show_command.add(data)
    serve_command.add(data)
    device_commands.add(commands, count)

    demo = command("demo", _demo, "The whole way on drawn scenes of real handwriting, in about ten minutes.")
    demo.add_argument("--run", dest="folder", type=Path, default=Path("runs/demo"), help="[%(default)s]")
    return parser


def _models(options):
    from ..analysis.table import table

    for line in table(options.pattern):
        print(line, flush=True)


def _train(options):
    import keras

    from ..training.run.folder import MODEL as BEST
    from ..training.run.folder import check_folder
    from ..training.run.trainer import fit

    if not options.rank:  # the first worker alone writes there
        check_folder(options.folder, resume=options.resume, overwrite=options.overwrite)
    recipe = recipe_of(options)
    place = machines(options, recipe)
    keras.utils.set_random_seed(recipe.seed)
    how = dict(resume=options.resume, overwrite=options.overwrite, data_service=options.data_service)
    with place as folder:
        model, train, val = starting_point(options, recipe)
        fit(model, train, val, folder, recipe, **how)
    if not options.rank:
        print(f"best model: {folder / BEST}")


def _check(options):
    from ..tflite.proof.check import check

    images = _inputs(options.file, options.images) if options.images else None
    checked = check(options.file, reference=options.reference, images=images)
    print(json.dumps(checked.to_json(), indent=2) if options.json else checked.table())
    return 0 if checked.passed else 1


def _inputs(file, folder):
    """The first images of a folder as the inputs of a detector's file."""
    import numpy as np

    from ..tflite.device.detect import read_settings
    from ..tflite.device.frames import expand, fit, load_image

    how = read_settings(file)[0]["input"]
    images = [load_image(path) for path in expand(str(folder))[:8]]
    if not images:
        raise ValueError(f"{folder}: no images, expected a folder of some")
    size = how["height"], how["width"]
    pixels = np.stack([fit(np.asarray(p), size, how["resize"], how["fill"]) for p in images])
    return ((pixels - np.float32(how["mean"])) * np.float32(how["scale"])).astype("float32")


def _demo(options):
    from ..demo.run import demo

    demo(options.folder)


if __name__ == "__main__":
    sys.exit(main())
