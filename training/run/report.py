"""The report of a run: what it reached, its curves, what its network finds, and how it was trained."""

import dataclasses

from ...reports.page import cell, figure, table, write_page
from ..recipes.recipe import Recipe
from .summary_page import CHARTS, chart

CURVES = (  # as report.CHARTS
    *CHARTS,
    ("Validation accuracy", "part", (("val_top5", "top-5"), ("val_top1", "top-1"))),
    ("Learning rate", "rate", (("learning_rate", "of the epoch's last step"),)),
)
FIGURES = {"val_mAP": "mAP", "val_mAP50": "mAP50", "val_top1": "top-1", "val_top5": "top-5", "val_loss": "loss"}


def write_run_report(path, task, recipe, rows):
    """Write a run's report as one HTML page that asks for nothing from outside.

    Args:
        path: the HTML file. It is replaced only when the new page is complete.
        task: a `tasks.Task`, its model with its best weights.
        recipe: `Recipe`.
        rows: the run's rows.

    Returns:
        The path.
    """
    best = max(rows, key=lambda row: row.get(task.monitor, -1.0))
    names = [name for name in FIGURES if name in best]
    cells = [[cell(row.get(name), "{:.3f}") for name in names] for row in (best, rows[-1])]
    lines = zip((f"best, epoch {best['epoch']}", f"last, epoch {rows[-1]['epoch']}"), cells, strict=True)
    known = {name for row in rows for name in row}
    curves = [one for one in CURVES if any(column in known for column, _ in one[2])]
    figures = "".join(figure(*pair) for pair in task.report_images())
    sections = [
        ("Results", table("Results", ("Epoch", *(FIGURES[name] for name in names)), list(lines))),
        ("Training", f'<div class="panels">{"".join(chart({"training": rows}, *one) for one in curves)}</div>'),
        ("Images", f'<div class="images">{figures}</div>'),
    ]
    counts = f"{len(task.train.examples)} images for training, {len(task.val.examples)} for validation"
    summary = f"{task.model.name}, {len(task.train.class_names)} classes, {counts}, {len(rows)} epochs."
    plain = dataclasses.asdict(Recipe())
    own = {name: value for name, value in dataclasses.asdict(recipe).items() if value != plain[name]}
    notes = [f"Recipe: {', '.join(f'{name} {value}' for name, value in own.items()) or 'as it comes'}."]
    if "images_per_second" in rows[-1]:
        last = rows[-1]
        wait = f"{last['data_wait']:.0%} of the time waiting for data"
        notes.append(f"Speed of the last epoch: {last['images_per_second']:.1f} images a second, {wait}.")
    return write_page(path, f"Training of {task.model.name}", summary, sections, notes)
