"""The sub-command `evaluate`: a detector's or a classifier's figures, and their report."""

import json
from pathlib import Path

from .arguments import add_command, add_data, add_json, add_pixels, add_weights, probability
from .reading import read_boxes, read_labels, read_pixels
from .terminal import log, printable


def add(commands):
    """Add `evaluate` to the sub-commands."""
    about = "Measure a detector's COCO figures, or a classifier's accuracy."
    parser = add_command(commands, "evaluate", run, about, "--data BCCD --model runs/train/best.keras")
    parser.add_argument(
        "--model", type=Path, required=True, help="a .keras or .tflite detector or classifier, or a network"
    )
    add_weights(parser)
    add_data(parser, split="test")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="for evaluation.html and evaluation.json [none]")
    parser.add_argument(
        "--score", type=probability, default=0.25, help="least score in a detector's confusion matrix [%(default)s]"
    )
    parser.add_argument(
        "--iou", type=probability, default=0.5, help="least IoU of a match in the confusion matrix [%(default)s]"
    )
    add_pixels(parser)
    add_json(parser)


def run(options):
    """Measure a detector or a classifier, print its figures, and write the report where a folder is given."""
    from ..training.data.class_names import short

    output = options.output
    if output and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output}: is not a folder, expected one to write the evaluation into")
    measured, write, columns = _measured(options)
    if output:
        where = str(options.data) if options.data.is_file() else f"{options.data}, split {options.split}"
        title = f"{options.model.name} on {options.data.resolve().name}"
        log(write(output, measured, title, [f"Model: {options.model}.", f"Data: {where}."]))
    results = measured.to_json()
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for name, value in results.items():
        if value is None or isinstance(value, float):
            print(f"{name:12} {_cell(value)}")
    names = [short(printable(name)) for name in results["per_class"]]
    width = max(12, *map(len, names))
    print(f"\n{'class':{width}} " + " ".join(f"{name:>9}" for name in columns))
    for name, row in zip(names, results["per_class"].values(), strict=True):
        print(f"{name:{width}} " + " ".join(f"{_cell(row[column]):>9}" for column in columns))


def _cell(value):
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _measured(options):
    """Return what was measured, the function that writes its report, and the columns of its table of classes."""
    from ..saving import load_network

    path, where, pixels = options.model, (options, options.split), None
    model = None if path.suffix == ".tflite" and not options.weights else load_network(path, options.weights)
    if model is not None:
        pixels = read_pixels(options, model)
    elif given := [f"--{name}" for name in ("mean", "scale", "scores") if getattr(options, name) is not None]:
        raise ValueError(f"{path}: a .tflite file says that itself; leave {', '.join(given)} out")
    if _classifies(path, model):
        from ..training.evaluation.classification import answers_of, classify, load_answers
        from ..training.evaluation.classification_report import write_classification_report

        answers = load_answers(path) if model is None else answers_of(model, pixels, options.scores)
        data = _labelled(where, path, answers)
        return classify(answers, data, report=log), write_classification_report, ("images", "precision", "recall")
    if options.scores:
        raise ValueError(f"--scores {options.scores}: says what a classifier returns, {path} holds a detector")
    from ..training.evaluation.detection import load_detect
    from ..training.evaluation.detection_report import write_detection_report
    from ..training.evaluation.mistakes import assess

    detect, class_names = load_detect(path) if model is None else (model.detect, model.class_names)
    thresholds = dict(score_threshold=options.score, iou_threshold=options.iou)
    assessment = assess(detect, read_boxes(*where, class_names), **thresholds, report=log)
    return assessment, write_detection_report, ("objects", "AP", "AP50")


def _labelled(where, path, answers):
    """Return a classifier's data; where one score is that of the second of two classes, it must be called so."""
    names = answers.class_names
    single = names is not None and len(names) == 1 and answers.classes == 2
    data = read_labels(*where, path.name, answers.classes, None if single else names)
    if single and data.class_names[1] != names[0]:
        raise ValueError(
            f"{path}: its score is that of {names[0]!r}, which must be the second class of the data. Received: "
            f"{', '.join(data.class_names)}"
        )
    return data


def _classifies(path, model):
    if model is not None:
        from ..graph import is_detector

        return not is_detector(model)
    from ..tflite.export import metadata
    from ..tflite.runtime.litert import run_cpu

    try:
        return metadata.read(path)[0].get("task") == "classification"
    except metadata.NoSettingsError:
        run_cpu(path)  # a damaged file has none either; this says so
        raise
