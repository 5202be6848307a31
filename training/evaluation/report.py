"""What the reports of detectors and classifiers share: evaluation.json, evaluation.html and its table of classes."""

from pathlib import Path

from ...files import write_json
from ...reports.page import cell, table, write_page

MAX_PROBLEMS = 10  # listed on a page


def write_report(folder, evaluation, title, summary, sections, notes):
    """Write evaluation.json and evaluation.html, its sections as (heading, `Markup`); return the page's path.

    The evaluation is what JSON can hold, with "problems", a list of lines; the notes get the first of them.
    """
    write_json(Path(folder) / "evaluation.json", evaluation)
    if problems := evaluation["problems"]:
        more = f"{len(problems)} problems in the data, all of them in evaluation.json:"
        notes = [*notes, more, *problems[:MAX_PROBLEMS]]
    return write_page(Path(folder) / "evaluation.html", title, summary, sections, notes)


def class_table(per_class, columns):
    """Return the table of {class: {column: figure}} with some of the columns."""
    rows = [
        (name, [cell(figures[key], "{:.0f}" if isinstance(figures[key], int) else "{:.3f}") for key in columns])
        for name, figures in per_class.items()
    ]
    return table("Classes", ("Class", *(key[0].upper() + key[1:] for key in columns)), rows)
