"""A classifier's evaluation as files: evaluation.json, and evaluation.html with its surest mistakes."""

from pathlib import Path

import numpy as np
from PIL import Image

from ...files import write_json
from ...reports.page import cell, figure, form, hint, matrix, table, told, write_page

SIDE = 320  # of the images in the page, in pixels
CONFUSED = 40  # classes in the page's confusion matrix


def write_classification(folder, classified, title, notes=()):
    """Write evaluation.json and evaluation.html.

    Args:
        folder: where to; it is made where it is missing.
        classified: `Classified`.
        title: the page's heading.
        notes: lines about how it was measured, before those that are always so.

    Returns:
        The path of the page.
    """
    folder, known = Path(folder), classified.to_json()
    write_json(folder / "evaluation.json", known)
    summary = (
        f"Top-1 {form(known['top1'], '{:.4f}')}, top-5 {form(known['top5'], '{:.4f}')} on {known['images']} images "
        f"of {sum(row['images'] > 0 for row in known['per_class'].values())} classes; mean cross-entropy "
        f"{form(known['loss'], '{:.3f}')}."
    )
    columns = {"precision": "{:.3f}", "recall": "{:.3f}", "images": "{:.0f}"}
    rows = [(n, [cell(v[key], form) for key, form in columns.items()]) for n, v in known["per_class"].items()]
    about = f"Rows are true classes, columns what they are taken for; of many classes the {CONFUSED} most confused."
    sections = [
        ("Classes", table("Classes", ("Class", "Precision", "Recall", "Images"), rows)),
        ("Confusion", hint(about) + matrix(known["confusion"], most=CONFUSED)),
    ]
    if worst := classified.worst():
        figures = "".join(_figure(classified, i, row) for i, row in zip(worst, known["worst"], strict=True))
        sections.append(("Surest mistakes", f'<div class="images wide">{figures}</div>'))
    lines = [
        *notes,
        "Top-1 and top-5: the true class is the best, or among the best five; of equal scores it counts as the last.",
    ]
    return write_page(folder / "evaluation.html", title, summary, sections, [*lines, *told(classified.problems)])


def _figure(classified, i, row):
    image = Image.fromarray(classified.data.examples[classified.numbers[i]].pixels())
    image.thumbnail((SIDE, SIDE))
    caption = f"{row['image']}: {row['class']}, taken for {row['taken_for']} ({row['score']:.2f})"
    return figure(caption, np.asarray(image))
