"""Draw a chart of horizontal bars as a standalone SVG that follows the reader's light or dark setting."""

from collections.abc import Sequence

from markupsafe import Markup

from ..tflite.device.printing import printable

WIDTH, NAMES, LABELS = 860, 330, 150  # of the drawing, its first and its last column, in SVG units
ROW, GAP = 24, 34  # heights of a bar's row and of a title

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f27; } .title { font-weight: 600; } .label { fill: #5b6472; }
.page { fill: #fff; } .bar { fill: #2563eb; } .whisker { stroke: #1b1f27; }
@media (prefers-color-scheme: dark) { text { fill: #e8eaee; } .label { fill: #9aa4b2; } .page { fill: #111419; }
  .bar { fill: #6ea8fe; } .whisker { stroke: #e8eaee; } }
"""


def bar_chart(groups: Sequence[tuple[str, Sequence[tuple[str, float, float, str]]]]) -> str:
    """Return the SVG's text of groups (title, bars), each with its own scale.

    A bar is (name, value, end of its whisker, label), the value at least 0. A whisker is drawn where it ends beyond it.
    """
    parts, y, text = [], GAP, Markup('<text {} x="{}" y="{}">{}</text>')
    titled, named, labelled = map(Markup, ('class="title"', 'text-anchor="end"', 'class="label"'))
    rectangle = Markup('<rect class="bar" x="{}" y="{}" width="{:.1f}" height="17" rx="2"/>')
    whisker = Markup('<path class="whisker" d="M{:.1f} {}H{:.1f}m0 -4v8"/>')
    for title, bars in groups:
        parts.append(text.format(titled, 16, y, title))
        longest = max([max(value, end) for _, value, end, _ in bars], default=0) or 1
        scale = (WIDTH - NAMES - LABELS) / longest
        for name, value, end, label in bars:
            y += ROW
            middle, right = y - 4.5, NAMES + scale * max(value, end)
            parts.append(text.format(named, NAMES - 10, y, _short(name)))
            parts.append(rectangle.format(NAMES, y - 13, scale * value))
            if end > value:
                parts.append(whisker.format(NAMES + scale * value, middle, right))
            parts.append(text.format(labelled, round(right + 8, 1), y, label))
        y += GAP
    drawing = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        '<style>{style}</style><rect class="page" width="{width}" height="{height}"/>{parts}</svg>\n'
    ).format(width=WIDTH, height=y, style=Markup(STYLE), parts=Markup("").join(parts))
    return printable(drawing)


def _short(name: str) -> str:
    return name if len(name) <= 46 else f"…{name[-45:]}"
