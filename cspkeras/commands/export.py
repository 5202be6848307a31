"""The sub-command `export`: any Keras model as a .tflite file."""

from pathlib import Path

from .arguments import DATA_HELP, add_command, add_format, add_pixels, add_refine, add_size, add_weights, count
from .reading import has_boxes, read_arrays, read_data, read_labels, read_pixels
from .terminal import log

CALIBRATION_IMAGES = 100
CALIBRATION_ROWS = 1024  # of arrays
INTEGERS = ("int8", "int16x8")


def add(commands):
    """Add `export` to the sub-commands."""
    parser = add_command(
        commands,
        "export",
        run,
        "Convert a detector, a classifier or another model to .tflite.",
        "--model runs/train/best.keras --precision float16 --output float16.tflite",
    )
    parser.add_argument(
        "--model", type=Path, required=True, help="a .keras or .h5 file of any Keras model, or a network"
    )
    add_weights(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, help="the .tflite file to write")
    target.add_argument("--android", type=Path, metavar="FOLDER", help="copy of android_demo to add the file to")
    kinds = ("float32", "float16", "dynamic", *INTEGERS)
    parser.add_argument("--precision", choices=kinds, default="float16", help="[%(default)s]")
    of_io = "type of the inputs and outputs of an int8 (float32, int8, uint8) or int16x8 file (float32, int16)"
    parser.add_argument("--io", choices=("float32", "int8", "uint8", "int16"), default="float32", help=of_io)
    of_decode = "what makes boxes of a detector's numbers: the file, or on the host what reads it [%(default)s]"
    parser.add_argument("--decode", choices=("file", "host"), default="file", help=of_decode)
    add_size(parser, "the model's; needed where it takes any", kind=count)
    parser.add_argument("--strict", action="store_true", help="fail where an int8 file would compute in floats")
    uses = "or a folder of images; they calibrate int8, its classes name those of a classifier without names"
    parser.add_argument("--data", type=Path, help=f"{DATA_HELP}; {uses}")
    add_format(parser)
    parser.add_argument("--train-split", default="train", help="[%(default)s]")
    of_arrays = "in place of the data's images: those of a folder, or arrays, one for each input by its name"
    parser.add_argument("--calibration", type=Path, metavar="FOLDER|FILE.npz", help=of_arrays)
    parser.add_argument("--labels", type=Path, metavar="FILE", help="a classifier's class names, one a line")
    add_pixels(parser)
    add_refine(parser, 0, "fitting int8")


def run(options):
    """Convert a model, with its own class names or the data's, and calibrate int8 on images or arrays."""
    from ..graph import is_detector
    from ..saving import is_classifier, load_model
    from ..tflite.export.convert import convert
    from ..tflite.export.settings import file_labels

    path, size = options.model, options.size
    model = load_model(path, "a detector, a classifier or another model", options.weights, size)
    detects, classifies = is_detector(model), is_classifier(model)
    if options.android and not detects:
        kind = "classifier" if classifies else "model of another kind"
        raise ValueError(f"--android: the application needs a detector, {path} holds a {kind}")
    output = options.output or _asset(options.android, f"{path.stem}_{options.precision}.tflite")
    if output.exists() and path.exists() and output.samefile(path):
        raise ValueError(f"--output {output}: is the model itself, which it would replace; give another name")
    calibrates = options.precision in INTEGERS and not _is_quantized(model)
    _check_uses(options, calibrates)
    if detects and options.data and not options.format and _has_images_alone(options.data):
        options.calibration, options.data = options.calibration or options.data, None
    if calibrates and not (options.data or options.calibration):
        raise ValueError(
            f"--precision {options.precision} needs --data, the images that calibrate it, or --calibration, a folder "
            "of images or a .npz file of arrays"
        )
    names = _names(options, model, classifies)
    unnamed = classifies and names is None
    data = None
    if options.data and (unnamed or (calibrates and not options.calibration)):
        data = _read(options, model, classifies, names)
        if unnamed:
            names = data.class_names
    elif unnamed:
        log(f"{path}: does not name its classes, so the file won't say how it is used; --labels or --data names them")
    labelled = classifies and names is not None
    pixels = read_pixels(options, model)
    calibration = _calibration(options, model, data, pixels) if calibrates else None
    how = {"io": options.io, "decode": options.decode, "strict": options.strict}
    how |= {"size": size, "labels": file_labels(model, names) if labelled else None}
    if labelled or detects:
        how |= {"mean": options.mean, "scale": options.scale, "scores": options.scores}
    else:
        _check_said(options, calibrates)
    print(convert(model, output, options.precision, calibration, options.refine, **how))


def _is_quantized(model):
    from ..training.quantization.aware import is_quantized

    return is_quantized(model)


def _check_uses(options, calibrates):
    """Raise a ValueError for options that would do nothing."""
    of_calibration = {"--calibration": options.calibration, "--refine": options.refine}
    if given := [name for name, value in of_calibration.items() if value and not calibrates]:
        found = (
            f"--precision {options.precision}" if options.precision not in INTEGERS else "a model that has its ranges"
        )
        raise ValueError(f"{given[0]}: is for a model that is calibrated to integers. Received: {found}; leave it out")
    if options.strict and options.precision != "int8":
        raise ValueError(f"--strict: is for --precision int8. Received: --precision {options.precision}; leave it out")


def _check_said(options, calibrates):
    """Raise a ValueError for what a file without labels can't say."""
    known = ("scores",) if calibrates else ("scores", "mean", "scale")  # images are calibrated on in their range
    if given := [name for name in known if getattr(options, name) is not None]:
        raise ValueError(f"--{given[0]}: only a classifier's file with labels says it; give --labels, or leave it out")


def _names(options, model, classifies):
    """Return the class names that are given or in the model's file, or None."""
    if not options.labels:
        return getattr(model, "class_names", None)
    from ..tflite.device.labels import read_labels as read_names

    if not classifies:
        raise ValueError(f"--labels {options.labels}: {options.model} holds no classifier of images; leave it out")
    names, note = read_names(options.labels)
    if note:
        log(note)
    if (outputs := model.outputs[0].shape[-1]) != len(names) and (len(names), outputs) != (2, 1):
        raise ValueError(f"--labels {options.labels}: has {len(names)} names for {outputs} classes")
    return names


def _read(options, model, classifies, names):
    """Return the data that names a classifier's classes, or calibrates a model."""
    from ..classification.scores import classes_of, score_kind
    from ..graph import is_detector

    where = options, options.train_split
    if classifies:
        classes = classes_of(model.outputs[0].shape[-1], score_kind(model, options.scores))
        return read_labels(*where, options.model.name, classes, names if names and len(names) == classes else None)
    data = read_data(*where, names if is_detector(model) else None)
    if is_detector(model) and not has_boxes(data):
        raise ValueError(f"{options.data}: images with a class each, expected a data set with boxes")
    return data


def _calibration(options, model, data, pixels):
    """Return the batches that calibrate a model."""
    from ..graph import is_detector
    from ..training.run.tasks import cropped_images, kind_of

    if options.calibration and options.calibration.suffix == ".npz":
        return _rows(read_arrays(options.calibration), model, options.calibration)
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4 or model.inputs[0].shape[-1] not in (1, 3):
        taken = " and ".join(f"{x.name!r} {tuple(x.shape)}" for x in model.inputs)
        raise ValueError(f"{options.model}: takes {taken}, not images; give --calibration FILE.npz, an array for each")
    if options.calibration:
        data = _images(options.calibration, detects=is_detector(model))
    if is_detector(model):
        return kind_of(model).calibration_images(model, data, CALIBRATION_IMAGES, log)
    *size, channels = model.inputs[0].shape[1:]
    if None in (size := options.size or size):
        raise ValueError(f"{options.model}: takes images of any size; give --size HEIGHT WIDTH")
    return cropped_images(data, tuple(size), channels, CALIBRATION_IMAGES, log, pixels)


def _has_images_alone(folder):
    """Return whether this is a folder of images without annotations, which calibrate a detector as well."""
    from ..tflite.device.frames import image_files

    if not folder.is_dir():
        return False
    shown = sum(not file.name.startswith(".") for file in folder.iterdir())
    return 0 < shown == len([file for file in image_files(str(folder)) if not file.name.startswith(".")])


def _images(folder, *, detects):
    """Return a folder's images as data."""
    import numpy as np

    from ..tflite.device.frames import image_files
    from ..training.data.examples import ClassificationData, DetectionData, Example, LabelledImage

    if not folder.is_dir():
        raise ValueError(f"--calibration {folder}: neither a folder of images nor a .npz file")
    if not (files := image_files(str(folder))):
        raise ValueError(f"--calibration {folder}: has no images")
    if detects:
        none = np.zeros((0, 4), "float32"), np.zeros(0, "int64")
        return DetectionData([Example(file, *none) for file in files], ("object",))
    return ClassificationData([LabelledImage(file, 0) for file in files], ("image",))


def _rows(arrays, model, file):
    """Yield the rows of arrays as batches of one, as the model takes them."""
    wanted = [x.name for x in model.inputs]
    if len(wanted) == len(arrays) == 1:
        arrays = dict(zip(wanted, arrays.values(), strict=True))
    if set(arrays) != set(wanted):
        raise ValueError(
            f"{file}: has the arrays {', '.join(sorted(arrays))}, expected those of the inputs: {', '.join(wanted)}"
        )
    if len(lengths := {len(x) if x.ndim else 0 for x in arrays.values()}) != 1 or not min(lengths):
        found = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
        raise ValueError(f"{file}: expected the same number of rows in each array, at least one. Received: {found}")
    if max(lengths) > CALIBRATION_ROWS:
        log(f"{file}: the first {CALIBRATION_ROWS} of {max(lengths)} rows are taken")
    for i in range(min(*lengths, CALIBRATION_ROWS)):
        row = {name: x[i : i + 1] for name, x in arrays.items()}
        yield row if len(row) > 1 else row[wanted[0]]


def _asset(folder, name):
    """Return where the application in android_demo/ looks for a model."""
    main = folder / "app" / "src" / "main"
    if not (main / "AndroidManifest.xml").is_file():
        raise ValueError(
            f"{folder}: has no {main.relative_to(folder)}/AndroidManifest.xml; expected a copy of android_demo"
        )
    return main / "assets" / "models" / name
