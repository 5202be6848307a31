"""The demo's page: a table of its models, the curves of their training, what they find, and what comes next."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from ..reports.page import MISSING, cell, formatted, images, joined, number, panels, table, text_cell, write_page
from ..training.run.report import CLASSIFIER, DETECTOR, LOSS, chart


def write_summary_page(
    path: str | os.PathLike[str],
    title: str,
    summary: str,
    rows: Sequence[Mapping],
    history: Mapping[str, Sequence[Mapping]],
    captioned: Sequence[tuple[str, np.ndarray]],
    steps: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
) -> Path:
    """Write the page and return its path; a value that is missing, None or not finite is shown as a dash.

    A row has "name", "size_bytes", "latency_ms", "gpu_delegated" (None: not checked), and of a detector "mAP50" and
    "mAP", of a classifier "top5" and "top1" (0 to 1). `history` has each run's rows of results.csv, numbers or their
    text; `captioned` captions and uint8 RGB images; `steps` what comes next, as (text, command).
    """
    sections = [("Results", _results(rows))]
    if history:
        sections.append(("Training", panels(chart(history, *LOSS), chart(history, *_accuracy(rows)))))
    if captioned:
        sections.append(("Images", images(captioned)))
    if steps:
        line = Markup("<li>{}: <code>{}</code></li>")
        content = joined(line.format(*one) for one in steps)
        sections.append(("What comes next", Markup('<ul class="notes">{}</ul>').format(content)))
    return write_page(path, title, summary, sections, notes)


def accuracies(rows: Sequence[Mapping]) -> list[tuple[str, str]]:
    """Return what the rows have of accuracies, each with what people call it."""
    return [(column.removeprefix("val_"), label) for column, label in _accuracy(rows)[2]]


def _accuracy(rows: Sequence[Mapping]) -> tuple:
    return CLASSIFIER if any("top1" in row for row in rows) else DETECTOR


def _results(rows: Sequence[Mapping]) -> Markup:
    shown = accuracies(rows)
    names = ("Model", *(label for _, label in shown), "Size", "Latency (ms)", "GPU delegated")
    lines = []
    for row in rows:
        accuracy = [cell(row.get(key), "{:.3f}") for key, _ in shown]
        cells = [*accuracy, text_cell(_size(row.get("size_bytes"))), cell(row.get("latency_ms"), "{:.1f}")]
        lines.append((str(row.get("name", MISSING)), [*cells, _delegated(row)]))
    return table("Results", names, lines)


def _delegated(row: Mapping) -> Markup:
    answer = Markup('<td class="{}">{}</td>')
    if "gpu_delegated" not in row:
        return answer.format("unknown", MISSING)
    answers = {True: ("yes", "yes"), False: ("no", "no"), None: ("unknown", "not checked")}
    return answer.format(*answers[row["gpu_delegated"]])


def _size(value) -> str:
    unit, pattern = (1e6, "{:.2f} MB") if number(value) >= 1e6 else (1e3, "{:.0f} kB")
    return formatted(number(value) / unit, pattern)
