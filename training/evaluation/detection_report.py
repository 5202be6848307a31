"""An assessment as files: evaluation.json, and evaluation.html with charts and the images with the most mistakes."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...files import write_json
from ...reports.page import (
    RUN_COLOURS,
    cell,
    figure,
    form,
    hint,
    legend,
    matrix,
    panel,
    plot,
    table,
    told,
    write_page,
)
from .mistakes import BACKGROUND

TRUTH, DETECTION = (37, 99, 235), (217, 72, 15)  # run0 and run1 of the page, told apart by colour-blind readers too
SIDE = 640  # of the images in the page, in pixels
NAMES = {
    "mAP": "AP, IoU 0.50 to 0.95",
    "mAP50": "AP, IoU 0.50",
    "mAP75": "AP, IoU 0.75",
    "mAP_small": "AP, small objects",
    "mAP_medium": "AP, medium objects",
    "mAP_large": "AP, large objects",
    "AR_1": "AR, 1 detection an image",
    "AR_10": "AR, 10 detections",
    "AR_100": "AR, 100 detections",
    "AR_small": "AR, small objects",
    "AR_medium": "AR, medium objects",
    "AR_large": "AR, large objects",
}


def write_evaluation(folder, assessment, title, notes=()):
    """Write evaluation.json and evaluation.html.

    Args:
        folder: where to; it is made where it is missing.
        assessment: `Assessment`.
        title: the page's heading.
        notes: lines about how it was measured, before those that are always so.

    Returns:
        The path of the page.
    """
    folder, known = Path(folder), assessment.to_json()
    write_json(folder / "evaluation.json", known)
    names = assessment.data.class_names
    objects = sum(figures["objects"] for figures in known["per_class"].values())
    at = f"a score above {assessment.score_threshold:g}, an IoU of {assessment.iou_threshold:g} or more"
    summary = (
        f"mAP {form(known['mAP'], '{:.3f}')}, mAP50 {form(known['mAP50'], '{:.3f}')} on {known['images']} images "
        f"with {objects} objects of {len(assessment.metrics['curves'])} classes."
    )
    confused = matrix(known["confusion"], BACKGROUND)
    sections = [
        ("Accuracy", f'<div class="panels">{_figures(known, "mAP")}{_figures(known, "AR")}</div>'),
        ("Classes", hint(f"Precision and recall: {at}.") + _classes(known["per_class"])),
        (
            "Precision, recall and confusion",
            hint(f"Confusion matrix: rows are true classes, columns detected ones; {at}.")
            + f'<div class="panels">{_curves(assessment.metrics["curves"])}{confused}</div>',
        ),
    ]
    if worst := assessment.worst():
        figures = "".join(figure(_caption(assessment, i), _drawn(assessment, i, names)) for i in worst)
        keys = legend({"truth, thick where it is missed": "run0", "detection, thick where it is false": "run1"})
        sections.append(("Most mistakes", f'{hint(keys)}<div class="images wide">{figures}</div>'))
    lines = [
        *notes,
        "AP and AR as COCO defines them (faster-coco-eval); small is below 32x32 pixels, large above 96x96. "
        "Classes that do not occur have no part in the means, and their detections are in no figure here.",
        "Mistakes: by falling score detections take the objects of their own class, then what is left of others.",
    ]
    return write_page(folder / "evaluation.html", title, summary, sections, [*lines, *told(assessment.problems)])


def _figures(known, kind):
    rows = [(name, [cell(known[key], "{:.3f}")]) for key, name in NAMES.items() if key.startswith(kind)]
    return table(f"{kind} figures", ("Average precision" if kind == "mAP" else "Average recall", ""), rows)


def _classes(per_class):
    columns = {"AP": "{:.3f}", "AP50": "{:.3f}", "precision": "{:.3f}", "recall": "{:.3f}", "objects": "{:.0f}"}
    rows = [(name, [cell(v[key], pattern) for key, pattern in columns.items()]) for name, v in per_class.items()]
    return table("Classes", ("Class", "AP", "AP50", "Precision", "Recall", "Objects"), rows)


def _curves(curves):
    """Precision over recall: each class in its colour where these suffice, all thin otherwise; and the mean."""
    few, drawn, keys = len(curves) <= RUN_COLOURS, [], {}
    for k, (name, curve) in enumerate(curves.items()):
        style = f"run{k}" if few else "faint"
        keys[name if few else "the classes"] = style
        drawn.append((f"curve {style}", _points(curve)))
    if len(curves) > 1:
        keys["mean"] = "mean dotted" if few else "mean"
        drawn.append((f"curve {keys['mean']}", _points(np.mean(list(curves.values()), axis=0))))
    title = "Precision at IoU 0.50"
    return panel(title, f"{title} by recall: {', '.join(curves)}", legend(keys), plot(drawn, "recall", "precision"))


def _points(curve):
    """The curve up to the recall that is reached; behind it COCO's precision is zero."""
    return [(i / 100, value if value > 0 else np.nan) for i, value in enumerate(curve.tolist())]


def _caption(assessment, i):
    match = assessment.matches[i]
    counts = {"missed": match.missed, "false": len(match.false), "of another class": match.confused}
    return f"{assessment.name(i)}: {', '.join(f'{n} {kind}' for kind, n in counts.items() if n)}"


def _drawn(assessment, i, names):
    """An example's image, scaled down, with its objects and what was found in their place or falsely."""
    example, found, match = assessment.examples[i], assessment.found[i], assessment.matches[i]
    image = Image.fromarray(example.pixels())
    scale = min(1.0, SIDE / max(image.size)) if max(image.size) > SIDE / 2 else SIDE / 2 / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size])
    wrong, right = [], []
    for box, label, taken in zip(example.boxes, example.labels, match.taken, strict=True):
        same = taken >= 0 and found["labels"][taken] == label
        (right if same else wrong).append((box, TRUTH, names[label]))
        if taken >= 0:
            text = f"{names[found['labels'][taken]]} {found['scores'][taken]:.2f}"
            (right if same else wrong).append((found["boxes"][taken], DETECTION, text))
    for k in match.false:
        wrong.append((found["boxes"][k], DETECTION, f"{names[found['labels'][k]]} {found['scores'][k]:.2f}"))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for box, colour, _ in right:
        pen.rectangle([float(v) for v in box * scale], outline=colour)
    for box, colour, text in wrong:
        x1, y1, x2, y2 = (float(v) for v in box * scale)
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=3)
        width, height = pen.textbbox((0, 0), text, font=font)[2:]
        # An object's name in its upper corner, a detection's in its lower one: both can be read where they coincide.
        x, y = max(0, min(x1, image.width - width - 4)), y1 if colour == TRUTH else max(0, y2 - height - 4)
        pen.rectangle((x, y, x + width + 4, y + height + 4), fill=colour)
        pen.text((x + 2, y + 2), text, fill="white", font=font)
    return np.asarray(image)
