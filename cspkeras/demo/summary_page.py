"""The demo's page: a table of its models, the curves of their training, and what they find."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from ..reports.page import MISSING, cell, formatted, images, number, panels, table, text_cell, write_page
from ..training.run.report import CHARTS, chart


def write_summary_page(
    path: str | os.PathLike[str],
    title: str,
    summary: str,
    rows: Sequence[Mapping],
    history: Mapping[str, Sequence[Mapping]],
    captioned: Sequence[tuple[str, np.ndarray]],
    notes: Sequence[str] = (),
) -> Path:
    """Write the page and return its path; a value that is missing, None or not finite is shown as a dash.

    A row has "name", "mAP50" and "mAP" (0 to 1), "size_bytes", "latency_ms" and "gpu_delegated" (None: not checked).
    `history` has each run's rows of results.csv, numbers or their text; `captioned` captions and uint8 RGB images.
    """
    sections = [("Results", _results(rows))]
    if history:
        sections.append(("Training", panels(*(chart(history, *one) for one in CHARTS))))
    if captioned:
        sections.append(("Images", images(captioned)))
    return write_page(path, title, summary, sections, notes)


def _results(rows: Sequence[Mapping]) -> Markup:
    names = ("Model", "mAP50", "mAP", "Size", "Latency (ms)", "GPU delegated")
    lines = []
    for row in rows:
        accuracy = [cell(row.get(key), "{:.3f}") for key in ("mAP50", "mAP")]
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
