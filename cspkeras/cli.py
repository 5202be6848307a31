"""The `cspkeras` command. Each sub-command is a thin wrapper around a function of the library."""

import argparse
import json
import os
import sys
from pathlib import Path


def main(arguments=None):
    """Run the command line; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except ModuleNotFoundError as e:
        return _failed(f"{e}; install it with: pip install 'cspkeras[all]'")
    except (OSError, ValueError, RuntimeError) as e:
        if options.traceback:
            raise
        return _failed(str(e))


def _failed(message, status=1):
    print(f"cspkeras: {' '.join(message.split())}", file=sys.stderr)
    return status


def _parser():
    parser = argparse.ArgumentParser(prog="cspkeras", description="CSP networks in Keras, from training to the phone.")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, help):
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    def number(kind, least):
        def parse(text):
            value = kind(text)
            if value < least:
                raise argparse.ArgumentTypeError(f"must be at least {least}, received {text}")
            return value

        parse.__name__ = "number"
        return parse

    count, rate = number(int, 1), number(float, 0.0)

    train = command("train", _train, "Train CSPPeleeNetEFM on a Pascal VOC folder.")
    train.add_argument("--data", type=Path, required=True, help="Pascal VOC folder")
    train.add_argument(
        "--run", dest="folder", type=Path, default=Path("runs/train"), help="folder of the run [%(default)s]"
    )
    train.add_argument("--size", type=count, default=416, help="side of the input in pixels [%(default)s]")
    train.add_argument("--weights", type=Path, help="a .keras detector to start from")
    train.add_argument("--train-split", default="train", help="[%(default)s]")
    train.add_argument("--val-split", default="val", help="[%(default)s]")
    _add_recipe(train, count, rate, epochs=100, learning_rate=2e-3, mosaic=0.5)

    quantize = command("quantize", _quantize, "Quantization-aware training of a detector, and its int8 file.")
    quantize.add_argument("--model", type=Path, required=True, help="a .keras detector")
    quantize.add_argument("--data", type=Path, required=True, help="Pascal VOC folder")
    quantize.add_argument("--run", dest="folder", type=Path, default=Path("runs/quantize"), help="[%(default)s]")
    quantize.add_argument("--train-split", default="train", help="[%(default)s]")
    quantize.add_argument("--val-split", default="val", help="[%(default)s]")
    _add_recipe(quantize, count, rate, epochs=10, learning_rate=2e-4, mosaic=0.2)

    evaluate = command("evaluate", _evaluate, "COCO mAP of a .keras or .tflite detector.")
    evaluate.add_argument("--model", type=Path, required=True, help="a .keras or .tflite detector")
    evaluate.add_argument("--data", type=Path, required=True, help="Pascal VOC folder")
    evaluate.add_argument("--split", default="test", help="[%(default)s]")
    evaluate.add_argument("--json", action="store_true", help="print JSON")

    export = command("export", _export, "Convert a detector to a .tflite file.")
    export.add_argument("--model", type=Path, required=True, help="a .keras detector")
    export.add_argument("--output", type=Path, required=True, help="the .tflite file to write")
    export.add_argument(
        "--precision", choices=("float32", "float16", "dynamic", "int8"), default="float16", help="[%(default)s]"
    )
    export.add_argument("--data", type=Path, help="Pascal VOC folder whose training pictures calibrate int8")
    export.add_argument("--train-split", default="train", help="[%(default)s]")

    check = command("check", _check, "Run a .tflite file on LiteRT's CPU and GPU delegate and compare.")
    check.add_argument("file", type=Path)
    check.add_argument("--reference", type=Path, metavar="MODEL.keras", help="the Keras model that the file comes from")
    check.add_argument("--json", action="store_true", help="print JSON")

    demo = command("demo", _demo, "The whole way on drawn scenes of real handwriting, in about ten minutes.")
    demo.add_argument("--run", dest="folder", type=Path, default=Path("runs/demo"), help="[%(default)s]")
    return parser


def _add_recipe(parser, count, rate, *, epochs, learning_rate, mosaic):
    parser.add_argument("--epochs", type=count, default=epochs, help="[%(default)s]")
    parser.add_argument("--batch-size", type=count, default=16, help="[%(default)s]")
    parser.add_argument("--learning-rate", type=rate, default=learning_rate, help="[%(default)s]")
    parser.add_argument("--mosaic", type=rate, default=mosaic, help="probability [%(default)s]")
    parser.add_argument("--flip", type=rate, default=0.5, help="probability of mirroring [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--resume", action="store_true", help="go on from the last state in the run's folder")


def _recipe(options):
    from .training.trainer import Recipe

    return Recipe(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        augment={"mosaic": options.mosaic, "flip": options.flip},
    )


def _read(folder, split, class_names=None):
    from .training.data import read_voc

    data = read_voc(folder, split, class_names)
    for problem in data.problems:
        print(problem, file=sys.stderr)
    boxes = sum(len(example.boxes) for example in data.examples)
    print(f"{folder} {split}: {len(data.examples)} pictures, {boxes} boxes, {len(data.problems)} problems")
    return data


def _train(options):
    import keras

    from .detection import CSPPeleeNetEFM
    from .detection.detector import load_detector
    from .training.anchors import estimate_anchors
    from .training.trainer import fit

    keras.utils.set_random_seed(options.seed)
    start = load_detector(options.weights) if options.weights else None
    train = _read(options.data, options.train_split, start and start.class_names)
    val = _read(options.data, options.val_split, train.class_names)
    model = start
    if model is None:
        size = (options.size, options.size)
        model = CSPPeleeNetEFM(train.class_names, (*size, 3), anchors=estimate_anchors(train, size))
    fit(model, train, val, options.folder, _recipe(options), resume=options.resume)
    print(f"best model: {options.folder / 'best.keras'}")


def _quantize(options):
    from .detection.detector import load_detector
    from .tflite.convert import convert
    from .training.quantization import quantize_aware
    from .training.trainer import fit

    model = load_detector(options.model)
    train = _read(options.data, options.train_split, model.class_names)
    val = _read(options.data, options.val_split, model.class_names)
    quantized = quantize_aware(model)
    fit(quantized, train, val, options.folder, _recipe(options), resume=options.resume)
    print(f"int8 file: {convert(quantized, options.folder / 'int8.tflite', 'int8')}")


def _evaluate(options):
    from .training.evaluation import evaluate, load_detect

    detect, class_names = load_detect(options.model)
    measured = evaluate(detect, _read(options.data, options.split, class_names))
    if options.json:
        print(json.dumps(measured, indent=2))
        return
    for name, value in {**measured, **measured.pop("per_class")}.items():
        print(f"{name:12} {value:.4f}")


def _export(options):
    from .detection.detector import load_detector
    from .tflite.convert import convert

    model = load_detector(options.model)
    calibration = None
    if options.precision == "int8":
        from .training.pipeline import images

        if options.data is None:
            raise ValueError("--precision int8 needs --data, the pictures that calibrate it")
        calibration = images(_read(options.data, options.train_split, model.class_names), model.anchors.size, 100)
    print(convert(model, options.output, options.precision, calibration))


def _check(options):
    from .tflite.check import check

    checked = check(options.file, reference=options.reference)
    print(json.dumps(checked.to_json(), indent=2) if options.json else checked.table())
    return 0 if checked.passed else 1


def _demo(options):
    from .demo.run import demo

    demo(options.folder)


if __name__ == "__main__":
    sys.exit(main())
