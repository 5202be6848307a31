"""Draw a chart of horizontal bars as a standalone SVG that follows the reader's light or dark setting."""

from collections.abc import Sequence
from html import escape

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
    parts, y = [], GAP
    for title, bars in groups:
        parts.append(f'<text class="title" x="16" y="{y}">{escape(title)}</text>')
        longest = max([max(value, end) for _, value, end, _ in bars], default=0) or 1
        scale = (WIDTH - NAMES - LABELS) / longest
        for name, value, end, label in bars:
            y += ROW
            middle, right = y - 4.5, NAMES + scale * max(value, end)
            parts.append(f'<text x="{NAMES - 10}" y="{y}" text-anchor="end">{escape(_short(name))}</text>')
            parts.append(f'<rect class="bar" x="{NAMES}" y="{y - 13}" width="{scale * value:.1f}" height="17" rx="2"/>')
            if end > value:
                parts.append(f'<path class="whisker" d="M{NAMES + scale * value:.1f} {middle}H{right:.1f}m0 -4v8"/>')
            parts.append(f'<text class="label" x="{right + 8:.1f}" y="{y}">{escape(label)}</text>')
        y += GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
        f'<style>{STYLE}</style><rect class="page" width="{WIDTH}" height="{y}"/>{"".join(parts)}</svg>\n'
    )


def _short(name: str) -> str:
    return name if len(name) <= 46 else f"…{name[-45:]}"
