"""The result of a training as one HTML page: table, curves, images and how it was measured."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...reports.page import MISSING, RUN_COLOURS, cell, figure, form, legend, number, panel, plot, table, write_page

CHARTS = (  # title, unit, (column of results.csv, its name in the legend): the second is dotted
    ("Loss", "loss", (("loss", "on training data"), ("val_loss", "on validation data"))),
    ("Validation accuracy", "mAP", (("val_mAP50", "mAP50"), ("val_mAP", "mAP"))),
)


def write_report(
    path: str | os.PathLike,
    title: str,
    summary: str,
    rows: Sequence[Mapping],
    history: Mapping[str, Sequence[Mapping]],
    images: Sequence[tuple[str, np.ndarray]],
    notes: Sequence[str] = (),
) -> Path:
    """Writes the page; a value that is missing, None or not finite is shown as a dash.

    Args:
        path: the HTML file. It is replaced only when the new page is complete.
        title: the heading.
        summary: one paragraph under it.
        rows: a row of the table each: "name", "mAP50" and "mAP" (0 to 1), "size_bytes", "latency_ms" and
            "gpu_delegated" (True, False, or None where it was not checked).
        history: name of a run to its rows of results.csv, numbers or their text: "epoch" and, drawn
            where present, "loss", "val_loss", "val_mAP50", "val_mAP".
        images: caption and uint8 RGB image (height, width, 3).
        notes: how it was measured: command, seed, machine, threads.

    Returns:
        The path.

    Raises:
        ValueError: an image is not uint8 RGB.
    """
    sections = [("Results", _results(rows))]
    if history:
        panels = "".join(chart(history, *one) for one in CHARTS)
        sections.append(("Training", f'<div class="panels">{panels}</div>'))
    if images:
        figures = "".join(figure(caption, image) for caption, image in images)
        sections.append(("Images", f'<div class="images">{figures}</div>'))
    return write_page(path, title, summary, sections, notes)


def _results(rows: Sequence[Mapping]) -> str:
    names = ("Model", "mAP50", "mAP", "Size", "Latency (ms)", "GPU delegated")
    lines = []
    for row in rows:
        accuracy = [cell(row.get(key), "{:.3f}") for key in ("mAP50", "mAP")]
        cells = [*accuracy, f"<td>{_size(row.get('size_bytes'))}</td>", cell(row.get("latency_ms"), "{:.1f}")]
        lines.append((str(row.get("name", MISSING)), [*cells, _delegated(row)]))
    return table("Results", names, lines)


def _delegated(row: Mapping) -> str:
    if "gpu_delegated" not in row:
        return f'<td class="unknown">{MISSING}</td>'
    answers = {True: ("yes", "yes"), False: ("no", "no"), None: ("unknown", "not checked")}
    return '<td class="{}">{}</td>'.format(*answers[row["gpu_delegated"]])


def chart(history: Mapping, title: str, unit: str, columns: Sequence[tuple[str, str]]) -> str:
    """A panel of `CHARTS`: its title, unit and columns, of each run in `history`."""
    curves, runs, kinds = [], {}, {}  # the last two: name in the legend to style
    for colour, (run, rows) in enumerate(history.items()):
        for kind, (column, name) in zip(("", "dotted"), columns, strict=False):
            points = [(number(row.get("epoch")), number(row.get(column))) for row in rows]
            if any(math.isfinite(x + y) for x, y in points):
                runs[run], kinds[name] = f"run{colour % RUN_COLOURS}", kind
                curves.append((f"curve {runs[run]} {kind}", points))
    keys = legend(runs) + (legend(kinds) if len(kinds) > 1 else "")
    label = f"{title} by epoch: {', '.join(history)}"
    return panel(title, label, keys, plot(curves, "epoch", unit, whole=True))


def _size(value) -> str:
    unit, pattern = (1e6, "{:.2f} MB") if number(value) >= 1e6 else (1e3, "{:.0f} kB")
    return form(number(value) / unit, pattern)
