"""Read what a command gives to a network, and log what was read, left out and assumed."""

from .terminal import log

FEW = 50  # images


def read_data(options, split, class_names=None):
    """Read a split of a command's data, and log what was left out."""
    data_set = open_data(options)
    data = data_set.read(split, class_names, getattr(options, "images", None))
    data.problems.extend(data_set.leftovers([data])[0])
    log_data(data, options.data, split)
    return data


def open_data(options):
    """Return the `DataSet` of a command's data; log which format was chosen where several fit."""
    from ..training.data.reading import DataSet

    data_set = DataSet(options.data, options.format)
    if choice := data_set.choice():
        log(choice)
    return data_set


def log_data(data, path, split):
    """Log the problems in what was read, and how much it is."""
    for problem in data.problems:
        log(problem)
    part = f" {split}" if split and path.suffix.lower() != ".json" else ""
    things = f"{len(data.class_names)} classes"
    if has_boxes(data):
        from ..training.data.example_tables import ExampleTable

        table = ExampleTable.of(data.examples)
        things, crowds = f"{len(table.boxes)} boxes", len(table.crowd_boxes)
        things += f" and {crowds} regions of crowds (iscrowd), which are not trained on" if crowds else ""
    log(f"{path}{part}: {len(data.examples)} images, {things}, {len(data.problems)} problems")


def has_boxes(data):
    """Return whether this is data for detection, not for classification."""
    from ..training.data.examples import DetectionData

    return isinstance(data, DetectionData)


def read_boxes(options, split, class_names=None):
    """Read data as `read_data` does; raise a ValueError where it is not for detection."""
    data = read_data(options, split, class_names)
    if not has_boxes(data):
        raise ValueError(f"{options.data}: images with a class each, expected a data set with boxes")
    return data


def read_labels(options, split, model, classes, class_names):
    """Read data as `read_data` does; raise a ValueError where a classifier can't be used on it.

    `model` is the classifier's name, `classes` their number, `class_names` their names; None: it gets the data's.
    """
    from ..training.run.tasks import Classification, check_classes

    data = read_data(options, split, class_names)
    Classification.check_data(model, data)
    check_classes(classes, data)
    if class_names is None:
        log(f"{model}: does not name its classes; assumed to be those of the data, in the same order")
    return data


def read_splits(options, class_names):
    """Read the training and the validation data of a command; `class_names` None for those of the training data."""
    if options.data.suffix.lower() == ".json":
        raise ValueError(f"--data {options.data}: one file is one split, expected a folder that holds two")
    data_set, names = open_data(options), (options.train_split, options.val_split)
    if not data_set.splits:
        raise ValueError(f"--data {options.data}: has no splits, expected a data set with {' and '.join(names)}")
    train = data_set.read(names[0], class_names)
    log_data(train, options.data, names[0])
    val = data_set.read(names[1], train.class_names)
    log_data(val, options.data, names[1])
    unusable, unused = data_set.leftovers([train, val])
    for line in [*unusable, *(unused if len(data_set.splits) == 2 else ())]:
        log(line)
    return train, val


def read_parts(options):
    """Read a command's data to train on, to validate on and held out; log what takes the place of a missing split.

    A fifth of the training images validates where no split does; the images that validate are held out where no split
    is called test, or none of its images has a label.
    """
    from ..training.data.examples import divided

    data_set, where = open_data(options), f"--data {options.data}"
    if data_set.splits and data_set.named(options.train_split) not in data_set.splits:
        there = " or ".join(data_set.splits)
        raise ValueError(f"{where}: has no split {options.train_split}; say --train-split {there}")

    def part(split):
        if data_set.named(split) not in data_set.splits:
            return None
        data = data_set.read(split, train.class_names)
        log_data(data, options.data, split)
        return data

    train = data_set.read(options.train_split if data_set.splits else None)
    log_data(train, options.data, data_set.splits and options.train_split)
    if not has_boxes(train) and len(train.class_names) < 2:
        name = train.class_names[0]
        raise ValueError(f"{where}: has one class, {name}; a classifier needs two, each a folder of images")
    val, total = part(options.val_split), len(train.examples)
    if val is None:
        if total < 2:
            raise ValueError(f"{where}: has a single image and no split {options.val_split}; label more images")
        train, val = divided(train)
        taken = f"{len(val.examples)} of the {total} training images, drawn with seed 0"
        log(f"{options.data}: has no split {options.val_split}; {taken}, take its place")
    if total < FEW:
        log(f"{options.data}: {total} images are few to learn from; label a hundred or more, then add --overwrite")
    held_out, reason = None, "has no split test"
    try:
        held_out = part("test")
    except ValueError as e:
        reason = e
    for line in data_set.leftovers([data for data in (train, val, held_out) if data])[0]:
        log(line)
    if held_out is None:
        log(f"{options.data}: {reason}; the figures are of the validation images")
    return train, val, held_out or val


def read_pixels(options, model):
    """Return the `Pixels` that a command's model takes, and log where its first layers show another range than 0..1."""
    from ..classification.pixels import UNIT, pixels_of
    from ..graph import is_detector

    given = options.mean is not None or options.scale is not None
    if given and is_detector(model):
        raise ValueError(f"{options.model}: a detector takes pixels in 0..1; leave --mean and --scale out")
    pixels = pixels_of(model, options.mean, options.scale)
    if not given and pixels != UNIT:
        low, high = pixels.limits()
        log(
            f"{options.model}: takes pixels in {low:g}..{high:g}, as its network or its first layers show; "
            "or give --mean and --scale"
        )
    return pixels


def read_arrays(file):
    """Return the arrays of a .npz file by their names."""
    from ..weights.archives import open_npz

    try:
        with open_npz(file) as arrays:
            if found := dict(arrays):
                return found
            raise ValueError("it holds none")
    except ValueError as error:
        raise ValueError(f"{error}; write one with numpy.savez({str(file)!r}, NAME=array, ...)") from error
