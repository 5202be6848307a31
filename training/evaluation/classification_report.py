"""A classifier's evaluation as files: evaluation.json, and evaluation.html with its most confident mistakes."""

import numpy as np
from PIL import Image

from ...reports.page import formatted, images, matrix, note
from .report import class_table, write_report

IMAGE_SIDE = 320  # of the page's images, at most, in pixels
CONFUSED_CLASSES = 40  # in the page's confusion matrix, at most


def write_classification_report(folder, classified, title, notes=()):
    """Write evaluation.json and evaluation.html of a `Classified`; return the page's path.

    To the notes about how it was measured those are added that are always true.
    """
    evaluation = classified.to_json()
    top1, top5, loss = (
        formatted(evaluation[name], pattern)
        for name, pattern in (("top1", "{:.4f}"), ("top5", "{:.4f}"), ("loss", "{:.3f}"))
    )
    classes = sum(figures["images"] > 0 for figures in evaluation["per_class"].values())
    summary = (
        f"Top-1 {top1}, top-5 {top5} on {evaluation['images']} images of {classes} classes; mean cross-entropy {loss}."
    )
    about = (
        "Rows are true classes, columns predicted ones; "
        f"of more than {CONFUSED_CLASSES} classes those most often confused."
    )
    sections = [
        ("Classes", class_table(evaluation["per_class"], ("precision", "recall", "images"))),
        ("Confusion", note(about) + matrix(evaluation["confusion"], most=CONFUSED_CLASSES)),
    ]
    if worst := classified.worst():
        captioned = (_captioned(classified, i, row) for i, row in zip(worst, evaluation["worst"], strict=True))
        sections.append(("Most confident mistakes", images(captioned, wide=True)))
    fixed = "Top-1 and top-5: the true class scores best, or among the best five; among equal scores it counts as last."
    return write_report(folder, evaluation, title, summary, sections, [*notes, fixed])


def _captioned(classified, i, row):
    image = Image.fromarray(classified.data.examples[classified.numbers[i]].pixels())
    image.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
    return f"{row['image']}: {row['class']}, taken for {row['taken_for']} ({row['score']:.2f})", np.asarray(image)
