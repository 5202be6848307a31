"""A detector's evaluation as files: evaluation.json, and evaluation.html with charts and the worst mistakes."""

import itertools

import numpy as np
from PIL import Image

from ...reports.page import (
    RUN_COLOURS,
    cell,
    formatted,
    images,
    legend,
    matrix,
    note,
    panel,
    panels,
    plot,
    table,
)
from ...tflite.device.drawing import draw_boxes
from ..data.examples import image_name
from .report import class_table, write_report

TRUTH, DETECTION = (37, 99, 235), (217, 72, 15)  # run0 and run1 of the page, told apart by colour-blind readers too
SIDE = 640  # of the page's images, at most, in pixels
NAMES = {
    "mAP": "AP, IoU 0.50 to 0.95",
    "mAP50": "AP, IoU 0.50",
    "mAP75": "AP, IoU 0.75",
    "mAP_small": "AP, small objects",
    "mAP_medium": "AP, medium objects",
    "mAP_large": "AP, large objects",
    "AR_1": "AR, 1 detection per image",
    "AR_10": "AR, 10 detections",
    "AR_100": "AR, 100 detections",
    "AR_small": "AR, small objects",
    "AR_medium": "AR, medium objects",
    "AR_large": "AR, large objects",
}


def write_detection_report(folder, assessment, title, notes=()):
    """Write evaluation.json and evaluation.html of an `Assessment`; return the page's path.

    To the notes about how it was measured those are added that are always true.
    """
    evaluation, curves = assessment.to_json(), assessment.metrics["curves"]
    per_class = evaluation["per_class"]
    mean, half = (formatted(evaluation[n], "{:.3f}") for n in ("mAP", "mAP50"))
    objects = sum(figures["objects"] for figures in per_class.values())
    summary = (
        f"mAP {mean}, mAP50 {half} on {evaluation['images']} images with {objects} objects of {len(curves)} classes."
    )
    at = f"a score above {assessment.score_threshold:g}, an IoU of {assessment.iou_threshold:g} or more"
    classes = class_table(per_class, ("AP", "AP50", "precision", "recall", "objects"))
    confusion = panels(_curves(curves), matrix(evaluation["confusion"], background=True))
    about = f"Confusion matrix: rows are true classes, columns detected ones; {at}."
    sections = [
        ("Accuracy", panels(_figures(evaluation, "mAP"), _figures(evaluation, "AR"))),
        ("Classes", note(f"Precision and recall: {at}.") + classes),
        ("Precision, recall and confusion", note(about) + confusion),
    ]
    if worst := assessment.worst():
        keys = legend((("truth, thick where it is missed", "run0"), ("detection, thick where it is false", "run1")))
        captioned = ((_caption(assessment, i), _drawn(assessment, i, assessment.data.class_names)) for i in worst)
        sections.append(("Most mistakes", note(keys) + images(captioned, wide=True)))
    fixed = (
        "AP and AR as COCO defines them (faster-coco-eval); small is below 32x32 pixels, large above 96x96. "
        "Classes that do not occur have no part in the means, and their detections are in no figure here.",
        "Mistakes: in the order of their scores, detections are matched with the objects of their own class, then with "
        "the objects left over.",
    )
    return write_report(folder, evaluation, title, summary, sections, [*notes, *fixed])


def _figures(evaluation, kind):
    rows = [(name, [cell(evaluation[key], "{:.3f}")]) for key, name in NAMES.items() if key.startswith(kind)]
    return table(f"{kind} figures", ("Average precision" if kind == "mAP" else "Average recall", ""), rows)


def _curves(curves):
    """Return precision over recall: a colour for each class where there are enough, and the mean."""
    few = len(curves) <= RUN_COLOURS
    styles = [f"run{k}" if few else "faint" for k in range(len(curves))]
    keys = list(zip(curves, styles, strict=True)) if few else [("the classes", "faint")]
    drawn = [(f"curve {style}", _points(curve)) for style, curve in zip(styles, curves.values(), strict=True)]
    if len(curves) > 1:
        style = "mean dotted" if few else "mean"
        keys.append(("mean of the classes" if few and "mean" in curves else "mean", style))
        drawn.append((f"curve {style}", _points(np.mean(list(curves.values()), axis=0))))
    title = "Precision at IoU 0.50"
    return panel(title, f"{title} by recall: {', '.join(curves)}", legend(keys), plot(drawn, "recall", "precision"))


def _points(curve):
    """Return the curve's points up to the recall that is reached, after which COCO's precision is zero."""
    return [(i / 100, value if value > 0 else np.nan) for i, value in enumerate(curve.tolist())]


def _caption(assessment, i):
    match = assessment.matches[i]
    counts = {"missed": match.missed, "false": len(match.false), "of another class": match.confused}
    return f"{image_name(assessment.examples[i], i)}: {', '.join(f'{n} {kind}' for kind, n in counts.items() if n)}"


def _drawn(assessment, i, names):
    """Return an example's image, rescaled, with its objects, their detections and the false ones."""
    example, found, match = assessment.examples[i], assessment.found[i], assessment.matches[i]
    image = Image.fromarray(example.pixels())
    scale = min(1.0, SIDE / max(image.size)) if max(image.size) > SIDE / 2 else SIDE / 2 / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size])
    marks = []  # box, colour, text, whether it is a mistake
    for box, label, taken in zip(example.boxes, example.labels, match.taken, strict=True):
        wrong = taken < 0 or found["labels"][taken] != label
        marks.append((box, TRUTH, names[label], wrong))
        if taken >= 0:
            marks.append((found["boxes"][taken], DETECTION, _named(found, taken, names), wrong))
    marks += [(found["boxes"][k], DETECTION, _named(found, k, names), True) for k in match.false]
    # An object's name in its upper corner, a detection's in its lower one: both can be read where they coincide.
    for wrong, (color, place) in itertools.product((False, True), ((TRUTH, "top"), (DETECTION, "bottom"))):
        chosen = [(box * scale, text if wrong else "") for box, c, text, w in marks if (w, c) == (wrong, color)]
        boxes, texts = [box for box, _ in chosen], [text for _, text in chosen]
        draw_boxes(image, boxes, texts, [color] * len(boxes), line=3 if wrong else 1, font_size=12, place=place)
    return np.asarray(image)


def _named(found, k, names):
    return f"{names[found['labels'][k]]} {found['scores'][k]:.2f}"
