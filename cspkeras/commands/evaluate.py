"""The sub-command `evaluate`: a detector's or a classifier's figures, and their report."""

import json

from ..graph import is_detector
from .reading import note, read_boxes, read_labels


def evaluate(options):
    """Measure a detector or a classifier, print its figures, and write the report where a folder is given."""
    output = options.output
    if output and output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output}: is no folder, expected one to write the evaluation into")
    measured, write, columns = _measured(options)
    if output:
        where = str(options.data) if options.data.is_file() else f"{options.data}, split {options.split}"
        title = f"{options.model.name} on {options.data.resolve().name}"
        note(write(output, measured, title, [f"Model: {options.model}.", f"Data: {where}."]))
    known = measured.to_json()
    if options.json:
        print(json.dumps(known, indent=2))
        return
    for name, value in known.items():
        if value is None or isinstance(value, float):
            print(f"{name:12} {_cell(value)}")
    width = max(12, *map(len, known["per_class"]))
    print(f"\n{'class':{width}} " + " ".join(f"{name:>9}" for name in columns))
    for name, row in known["per_class"].items():
        print(f"{name:{width}} " + " ".join(f"{_cell(row[column]):>9}" for column in columns))


def _cell(value):
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _measured(options):
    """What was measured, the function that writes its report, and the columns of its table of classes."""
    from ..saving import load_network

    path, where = options.model, (options.data, options.split)
    model = None if path.suffix == ".tflite" else load_network(path)
    if _classifies(path, model):
        from ..training.evaluation.classification import answers_of, classify, load_answers
        from ..training.evaluation.classification_report import write_classification

        answers = load_answers(path) if model is None else answers_of(model)
        data = read_labels(*where, path.name, answers.classes, answers.class_names, options.images)
        return classify(answers, data, report=note), write_classification, ("images", "precision", "recall")
    from ..training.evaluation.detection import load_detect
    from ..training.evaluation.detection_report import write_evaluation
    from ..training.evaluation.mistakes import assess

    detect, class_names = load_detect(path) if model is None else (model.detect, model.class_names)
    thresholds = dict(score_threshold=options.score, iou_threshold=options.iou)
    assessment = assess(detect, read_boxes(*where, class_names, options.images), **thresholds, report=note)
    return assessment, write_evaluation, ("objects", "AP", "AP50")


def _classifies(path, model):
    if model is not None:
        return not is_detector(model)
    from ..tflite.export import metadata

    return metadata.read(path)[0].get("task") == "classification"
