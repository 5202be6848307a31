"""How every command reads its data."""

import sys
from pathlib import Path


def note(line):
    """Print a line beside a command's result, which alone goes to the standard output."""
    print(line, file=sys.stderr)


def add_source(parser):
    """Add to a sub-command what it reads: the data set, and where a COCO file's images are."""
    parser.add_argument("data", type=Path, metavar="PATH", help="folder or file of any known format, or tfds:NAME")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the images of a COCO file [beside it]")


def read_data(path, split, class_names=None, images=None):
    """`cspkeras.training.read`, what was left out noted."""
    from ..training.data.reading import read

    data = read(path, split, class_names, images)
    note_read(data, path, split)
    return data


def note_read(data, path, split):
    for problem in data.problems:
        note(problem)
    part = f" {split}" if split and path.suffix.lower() != ".json" else ""
    things = f"{len(data.class_names)} classes"
    if has_boxes(data):
        things = f"{sum(len(example.boxes) for example in data.examples)} boxes"
    note(f"{path}{part}: {len(data.examples)} images, {things}, {len(data.problems)} problems")


def has_boxes(data):
    """Whether this is data for detection, not for classification."""
    from ..training.data.examples import DetectionData

    return isinstance(data, DetectionData)


def read_boxes(path, split, class_names=None, images=None):
    """`read_data` of what must be data for detection."""
    data = read_data(path, split, class_names, images)
    if not has_boxes(data):
        raise ValueError(f"{path}: images with a class each, expected a data set with boxes")
    return data


def read_labels(path, split, model, classes, class_names, images=None):
    """`read_data` of what must be data for classification by a model of so many classes, of these names if not None.

    `model` is what it is called.
    """
    from ..training.run.tasks import Classification, check_classes

    data = read_data(path, split, class_names, images)
    Classification.check_data(model, data)
    check_classes(classes, data)
    if class_names is None:
        note(f"{model}: does not name its classes; they are taken for those of the data, in their order")
    return data


def read_splits(options, class_names):
    """The training and the validation data of a command; `class_names` None takes those of the former."""
    from ..training.data.reading import splits

    if options.data.suffix.lower() == ".json":
        raise ValueError(f"--data {options.data}: one file is one split, expected a folder that holds two")
    if not splits(options.data):
        wanted = f"{options.train_split} and {options.val_split}"
        raise ValueError(f"--data {options.data}: has no splits, expected a data set with {wanted}")
    train = read_data(options.data, options.train_split, class_names)
    return train, read_data(options.data, options.val_split, train.class_names)
