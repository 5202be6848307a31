"""The report of a run: its figures, its curves, what its network finds, and how it was trained."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ...reports.page import RUN_COLOURS, cell, images, legend, number, panel, panels, plot, table, write_page
from ..recipes.recipe import Recipe
from .throughput import speed

# Of a chart: title, unit, (column of results.csv, its name in the legend): the second is dotted.
LOSS = "Loss", "loss", (("loss", "on training data"), ("val_loss", "on validation data"))
DETECTOR = "Validation accuracy", "mAP", (("val_mAP50", "mAP50"), ("val_mAP", "mAP"))
CLASSIFIER = "Validation accuracy", "part", (("val_top5", "top-5"), ("val_top1", "top-1"))
CHARTS = LOSS, DETECTOR, CLASSIFIER, ("Learning rate", "rate", (("learning_rate", "of the epoch's last step"),))
FIGURES = {"val_mAP": "mAP", "val_mAP50": "mAP50", "val_top1": "top-1", "val_top5": "top-5", "val_loss": "loss"}


def write_run_report(path, task, progress):
    """Write the report of a run's `Progress` as one HTML page that loads nothing from outside; return its path.

    The task's model has its best weights. The file is replaced only when the new page is complete.
    """
    rows, best, last = progress.rows, progress.best, progress.rows[-1]
    names = [name for name in FIGURES if name in best]
    shown = {f"best, epoch {best['epoch']}": best, f"last, epoch {last['epoch']}": last}
    lines = [(title, [cell(row.get(name), "{:.3f}") for name in names]) for title, row in shown.items()]
    recorded = {name for row in rows for name in row}
    charts = [chart({"training": rows}, *one) for one in CHARTS if any(name in recorded for name, _ in one[2])]
    sections = [
        ("Results", table("Results", ("Epoch", *(FIGURES[name] for name in names)), lines)),
        ("Training", panels(*charts)),
        ("Images", images(task.report_images())),
    ]
    counts = f"{len(task.train.examples)} images for training, {len(task.val.examples)} for validation"
    summary = f"{task.model.name}, {len(task.train.class_names)} classes, {counts}, {len(rows)} epochs."
    default = dataclasses.asdict(Recipe())
    changed = {name: value for name, value in dataclasses.asdict(task.recipe).items() if value != default[name]}
    notes = [f"Recipe: {', '.join(f'{name} {value}' for name, value in changed.items()) or 'the default'}."]
    if "images_per_second" in last:
        notes.append(f"Speed of the last epoch: {speed(last)}.")
    return write_page(path, f"Training of {task.model.name}", summary, sections, notes)


def chart(history: Mapping, title: str, unit: str, columns: Sequence[tuple[str, str]]) -> Markup:
    """Return a panel with curves of each run in `history`; see `CHARTS` for the others."""
    curves, runs, kinds = [], {}, {}  # the last two: name in the legend to style
    for colour, (run, rows) in enumerate(history.items()):
        for kind, (column, name) in zip(("", "dotted"), columns, strict=False):
            points = [(number(row.get("epoch")), number(row.get(column))) for row in rows]
            if any(math.isfinite(x + y) for x, y in points):
                runs[run], kinds[name] = f"run{colour % RUN_COLOURS}", kind
                curves.append((f"curve {runs[run]} {kind}", points))
    keys = legend(runs.items()) + (legend(kinds.items()) if len(kinds) > 1 else "")
    label = f"{title} by epoch: {', '.join(history)}"
    return panel(title, label, keys, plot(curves, "epoch", unit, whole=True))
