"""Read the data of a command, and log what was read and left out."""

import sys


def log(line):
    """Print a line to the standard error; the standard output has a command's result alone."""
    print(line, file=sys.stderr)


def read_data(path, split, class_names=None, images=None):
    """Read data as `cspkeras.training.read` does, and log what was left out."""
    from ..training.data.reading import read

    data = read(path, split, class_names, images)
    log_data(data, path, split)
    return data


def log_data(data, path, split):
    """Log the problems in what was read, and how much it is."""
    for problem in data.problems:
        log(problem)
    part = f" {split}" if split and path.suffix.lower() != ".json" else ""
    things = f"{len(data.class_names)} classes"
    if has_boxes(data):
        things = f"{sum(len(example.boxes) for example in data.examples)} boxes"
    log(f"{path}{part}: {len(data.examples)} images, {things}, {len(data.problems)} problems")


def has_boxes(data):
    """Return whether this is data for detection, not for classification."""
    from ..training.data.examples import DetectionData

    return isinstance(data, DetectionData)


def read_boxes(path, split, class_names=None, images=None):
    """Read data as `read_data` does; raise a ValueError where it is not for detection."""
    data = read_data(path, split, class_names, images)
    if not has_boxes(data):
        raise ValueError(f"{path}: images with a class each, expected a data set with boxes")
    return data


def read_labels(path, split, model, classes, class_names, images=None):
    """Read data as `read_data` does; raise a ValueError where a classifier can't be used on it.

    `model` is the classifier's name, `classes` their number, `class_names` their names; None: it gets the data's.
    """
    from ..training.run.tasks import Classification, check_classes

    data = read_data(path, split, class_names, images)
    Classification.check_data(model, data)
    check_classes(classes, data)
    if class_names is None:
        log(f"{model}: does not name its classes; assumed to be those of the data, in the same order")
    return data


def read_splits(options, class_names):
    """Read the training and the validation data of a command; `class_names` None for those of the training data."""
    from ..training.data.reading import splits

    if options.data.suffix.lower() == ".json":
        raise ValueError(f"--data {options.data}: one file is one split, expected a folder that holds two")
    if not splits(options.data):
        wanted = f"{options.train_split} and {options.val_split}"
        raise ValueError(f"--data {options.data}: has no splits, expected a data set with {wanted}")
    train = read_data(options.data, options.train_split, class_names)
    return train, read_data(options.data, options.val_split, train.class_names)
