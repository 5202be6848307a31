"""The sub-command `export`: a detector or a classifier as a .tflite file."""

from pathlib import Path

from .arguments import DATA_HELP, add_command, add_format, add_refine
from .reading import read_boxes, read_labels
from .terminal import log

CALIBRATION_IMAGES = 100


def add(commands):
    """Add `export` to the sub-commands."""
    parser = add_command(commands, "export", run, "Convert a detector or a classifier to a .tflite file.")
    parser.add_argument("--model", type=Path, required=True, help="a .keras detector or classifier")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, help="the .tflite file to write")
    target.add_argument("--android", type=Path, metavar="FOLDER", help="copy of android_demo to add the file to")
    parser.add_argument(
        "--precision", choices=("float32", "float16", "dynamic", "int8"), default="float16", help="[%(default)s]"
    )
    parser.add_argument(
        "--data",
        type=Path,
        help=f"{DATA_HELP}; its training images calibrate int8, its classes name those of a classifier without names",
    )
    add_format(parser)
    add_refine(parser, 0, "fitting int8")
    parser.add_argument("--train-split", default="train", help="[%(default)s]")


def run(options):
    """Convert a model, with its own class names or the data's, and calibrate int8 on the data's images."""
    from ..saving import load_network
    from ..tflite.export.convert import convert
    from ..training.run.tasks import kind_of

    path, model, calibration = options.model, load_network(options.model), None
    kind = kind_of(model)
    if options.android and kind.noun != "detector":
        raise ValueError(f"--android: the application needs a detector, {path} holds a {kind.noun}")
    output = options.output or _asset(options.android, f"{path.stem}_{options.precision}.tflite")
    quantizes = options.precision == "int8"
    if options.data is None:
        if quantizes:
            raise ValueError("--precision int8 needs --data, the images that calibrate it")
        if model.class_names is None:
            raise ValueError(f"{path}: does not name its classes; give --data, the data set that has them")
    elif quantizes or model.class_names is None:
        where = options, options.train_split
        if kind.noun == "detector":
            data = read_boxes(*where, model.class_names)
        else:
            data = read_labels(*where, path.name, model.output_shape[-1], model.class_names)
        model.class_names = data.class_names
        calibration = kind.calibration_images(model, data, CALIBRATION_IMAGES, log) if quantizes else None
    print(convert(model, output, options.precision, calibration, options.refine))


def _asset(folder, name):
    """Return where the application in android_demo/ looks for a model."""
    main = folder / "app" / "src" / "main"
    if not (main / "AndroidManifest.xml").is_file():
        raise ValueError(
            f"{folder}: has no {main.relative_to(folder)}/AndroidManifest.xml; expected a copy of android_demo"
        )
    return main / "assets" / "models" / name
