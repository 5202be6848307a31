"""What the reports of detectors and classifiers share: evaluation.json, evaluation.html and its table of classes."""

from pathlib import Path

from ...files import write_json
from ...reports.page import cell, problem_notes, table, write_page


def write_report(folder, evaluation, title, summary, sections, notes):
    """Write evaluation.json and evaluation.html.

    Args:
        folder: the folder to write to; it is made where it is missing.
        evaluation: a dict that JSON can hold, with "problems", a list of lines.
        title: the page's heading.
        summary: one paragraph under it.
        sections: the page's sections, as (heading, HTML).
        notes: lines about how it was measured; those about problems come after them.

    Returns:
        The path of the page.
    """
    write_json(Path(folder) / "evaluation.json", evaluation)
    notes = [*notes, *problem_notes(evaluation["problems"])]
    return write_page(Path(folder) / "evaluation.html", title, summary, sections, notes)


def class_table(per_class, columns):
    """Return the table of {class: {column: figure}} with some of the columns."""
    rows = [
        (name, [cell(figures[key], "{:.0f}" if isinstance(figures[key], int) else "{:.3f}") for key in columns])
        for name, figures in per_class.items()
    ]
    return table("Classes", ("Class", *(key[0].upper() + key[1:] for key in columns)), rows)
