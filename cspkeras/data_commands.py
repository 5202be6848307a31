"""The sub-commands about data and accuracy, `evaluate` and `anchors`, and how every command reads its data."""

import json
import sys


def note(line):
    """Print a line beside a command's result, which alone goes to the standard output."""
    print(line, file=sys.stderr)


def read_data(path, split, class_names=None, images=None):
    """`cspkeras.training.read`, what was left out noted."""
    from .training.data import read

    data = read(path, split, class_names, images)
    for problem in data.problems:
        note(problem)
    boxes = sum(len(example.boxes) for example in data.examples)
    part = "" if path.suffix.lower() == ".json" else f" {split}"
    note(f"{path}{part}: {len(data.examples)} pictures, {boxes} boxes, {len(data.problems)} problems")
    return data


def read_splits(options, class_names):
    """The training and the validation data of a command; `class_names` None takes those of the former."""
    if options.data.suffix.lower() == ".json":
        raise ValueError(f"--data {options.data}: one file is one split, expected a folder that holds two")
    train = read_data(options.data, options.train_split, class_names)
    return train, read_data(options.data, options.val_split, train.class_names)


def evaluate(options):
    """Measure a detector, print COCO's figures, and write the report where a folder is given."""
    from .training.assessment import assess
    from .training.evaluation import load_detect
    from .training.evaluation_report import write_evaluation

    output = options.output
    if output and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output}: is no folder, expected one to write the evaluation into")
    detect, class_names = load_detect(options.model)
    data = read_data(options.data, options.split, class_names, options.images)
    assessment = assess(detect, data, score_threshold=options.score, iou_threshold=options.iou, report=note)
    if output:
        where = str(options.data) if options.data.is_file() else f"{options.data}, split {options.split}"
        title = f"{options.model.name} on {options.data.resolve().name}"
        note(write_evaluation(output, assessment, title, [f"Model: {options.model}.", f"Data: {where}."]))
    known = assessment.to_json()
    if options.json:
        print(json.dumps(known, indent=2))
        return
    for name, value in known.items():
        if value is None or isinstance(value, float):
            print(f"{name:12} {_four(value)}")
    width = max(12, *map(len, class_names))
    print(f"\n{'class':{width}} {'objects':>8} {'AP':>8} {'AP50':>8}")
    for name, row in known["per_class"].items():
        print(f"{name:{width}} {row['objects']:8} {_four(row['AP']):>8} {_four(row['AP50']):>8}")


def _four(value):
    return "-" if value is None else f"{value:.4f}"


def anchors(options):
    """Print anchors that suit a data set, and how well these, k-means' alone and the published ones fit it."""
    import numpy as np

    from .detection.anchors import Anchors
    from .training.anchors import RATIO, anchor_fit, estimate_anchors, object_shapes

    size, data = (options.size,) * 2, read_data(options.data, options.split, images=options.images)
    shapes = object_shapes(data, size)
    if (different := len(np.unique(shapes, axis=0))) < options.count:
        raise ValueError(f"{options.data}: objects of {different} shapes, too few for {options.count} anchors")
    rows = {"published": Anchors.published(size)}
    for name, generations in (("k-means", 0), (f"{options.generations} generations", options.generations)):
        rows[name] = estimate_anchors(data, size, options.count, options.seed, generations=generations)
    print(f"{'':20} mean best IoU  best possible recall")
    for name, found in rows.items():
        iou, recall = anchor_fit(shapes, found.pairs)
        print(f"{name:20} {iou:13.4f} {recall:21.4f}")
    print(f"(the share of objects that some anchor matches within a factor of {RATIO:g}, in width and height)\n")
    pairs = [(round(float(w), 1), round(float(h), 1)) for w, h in rows[name].pairs]
    print("Darknet: anchors = " + ",  ".join(f"{w:g},{h:g}" for w, h in pairs))
    print(f"Python:  anchors = {pairs}")
