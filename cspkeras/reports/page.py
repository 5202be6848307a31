"""Write a report as one HTML page that loads nothing from outside.

Its style is inline, its curves are SVG, its images are embedded; it follows the reader's light or dark setting.

Every part is a `Markup`, a template that escapes what is put into it; what is none is shown as text.
"""

import base64
import io
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from ..detection.images import check_image
from ..files import replacing
from ..tflite.device.printing import printable

MISSING = "–"
RUN_COLOURS = 4  # run0 to run3 in the style below
MAX_LARGE_CLASSES = 8  # a confusion matrix of more classes is set small
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 250, 50, 12, 26, 40  # of a panel and its margins, in SVG units

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b1f27; --soft: #5b6472;
  --line: #e2e5ea; --run0: #2563eb; --run1: #d9480f; --run2: #15803d; --run3: #9333ea; --no: #c02626; }
@media (prefers-color-scheme: dark) { :root {
  --page: #111419; --card: #1a1f27; --ink: #e8eaee; --soft: #9aa4b2; --line: #2e3540; --run0: #6ea8fe;
  --run1: #ff9a5c; --run2: #5fd38a; --run3: #c792fb; --no: #ff8080; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2rem); }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.3rem); line-height: 1.2; letter-spacing: -.02em; margin: 0 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .85rem; }
.summary { max-width: 46rem; margin: 0; font-size: 1.08rem; color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .7rem clamp(.5rem, 1.8vw, 1.25rem); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; } tbody th { white-space: normal; } tbody tr { border-top: 1px solid var(--line); }
thead th { color: var(--soft); font-size: .85em; font-weight: 500; white-space: normal; }
.yes { color: var(--run2); } .no { color: var(--no); } .yes, .no { font-weight: 600; }
.unknown { color: var(--soft); white-space: normal; }
@media (max-width: 36rem) { table { font-size: .8rem; } th, td { padding: .7rem .26rem; } }
figure { margin: 0; }
.panels, .images { display: grid; gap: 1rem; }
.panels { grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.images { grid-template-columns: repeat(auto-fill, minmax(max(9.5rem, 22%), 1fr)); }
.panels figure { padding: 1rem; display: flex; flex-direction: column; justify-content: space-between; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; font-size: .85rem; }
.images img { display: block; width: 100%; height: auto; }
.images figcaption { padding: .6rem .9rem; font-size: .9rem; color: var(--soft); overflow-wrap: anywhere; }
.plot { display: block; width: 100%; height: auto; margin-top: .5rem; }
.plot text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.key { width: 1.6rem; height: .7rem; margin-right: .35rem; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); } .dotted { stroke-dasharray: .5 4.5; }
.curve { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.bars { stroke-linecap: butt; }
.layers { font-size: .8rem; } .layers th, .layers td { padding: .2rem .6rem; white-space: nowrap; }
.faint { color: color-mix(in srgb, var(--soft) 40%, transparent); } .mean { color: var(--ink); }
.matrix th, .matrix td { padding: .45rem .6rem; } .matrix td { min-width: 3rem; }
.matrix .heat { background: color-mix(in srgb, var(--run0) calc(var(--share) * 50%), transparent); }
.many { grid-column: 1 / -1; } .many th, .many td { padding: .2rem .3rem; font-size: .75rem; min-width: 0; }
.many thead th { writing-mode: sideways-lr; }
.note { margin: 0 0 .7rem; font-size: .9rem; color: var(--soft); }
.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.run0 { color: var(--run0); } .run1 { color: var(--run1); }
.run2 { color: var(--run2); } .run3 { color: var(--run3); }
.notes { margin: 0; padding-left: 1.2rem; color: var(--soft); overflow-wrap: anywhere; }
"""


PAGE = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style></head>
<body><main>
<h1>{title}</h1>
<p class="summary">{summary}</p>
{body}
</main></body></html>
""")


def write_page(
    path: str | os.PathLike, title: str, summary: str, sections: Sequence[tuple[str, str]], notes: Sequence[str] = ()
) -> Path:
    """Write the page: title and summary, sections as (heading, `Markup`), notes as a list of lines at the end.

    The file is replaced only when the new page is complete. Return its path.
    """
    if notes:
        items = joined(Markup("<li>{}</li>").format(note) for note in notes)
        sections = [*sections, ("How it was measured", Markup('<ul class="notes">{}</ul>').format(items))]
    section = Markup("<section>\n<h2>{}</h2>\n{}\n</section>")
    body = Markup("\n").join(section.format(*one) for one in sections)
    page = PAGE.format(title=title, style=Markup(STYLE), summary=summary, body=body)
    with replacing(path) as aside:
        aside.write_text(printable(page), encoding="utf-8")
    return Path(path)


def joined(parts: Iterable[str]) -> Markup:
    """Return the parts one after the other, escaped where they are not `Markup`."""
    return Markup("").join(parts)


def table(label: str, names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Markup:
    """Return a table: a label for screen readers, the columns' names, and a name and `cell`s for each row."""
    row = Markup('<tr><th scope="row">{}</th>{}</tr>\n')
    head = joined(Markup('<th scope="col">{}</th>').format(name) for name in names)
    body = joined(row.format(name, joined(cells)) for name, cells in rows)
    return Markup(
        '<div class="card" role="region" aria-label="{}" tabindex="0"><table>\n'
        "<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>"
    ).format(label, head, body)


def cell(value, pattern: str = "{}") -> Markup:
    """Return a table's cell with a number, or a dash for what is not a finite number."""
    return text_cell(formatted(value, pattern))


def text_cell(text: str) -> Markup:
    """Return a table's cell with a text."""
    return Markup("<td>{}</td>").format(text)


def note(content: str) -> Markup:
    """Return a note, text or `Markup`, on the part of the page below it."""
    return Markup('<div class="note">{}</div>').format(content)


def matrix(confusion: Mapping, background: bool = False, most: int | None = None) -> Markup:
    """Return a confusion matrix of the classes that occur or are predicted, shaded by the share of the row.

    `confusion` has "classes", names, and "matrix", a row for each true class and a column for each predicted one; with
    `background`, the last class stands for no object and is never correct. Of more than `most` classes, the most
    confused are shown.
    """
    names, counts = confusion["classes"], np.array(confusion["matrix"])
    shown = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1)).tolist()
    if most and len(shown) > most:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        shown = sorted(sorted(shown, key=lambda k: -wrong[k])[:most])
    no_object = len(names) - 1 if background else None
    shaded, rows = Markup('<td class="heat" style="--share:{:.2f}">{}</td>'), []
    for true in shown:
        total, cells = max(1, counts[true].sum()), []
        for predicted in shown:
            text = MISSING if true == predicted == no_object else counts[true, predicted] or ""
            cells.append(shaded.format(counts[true, predicted] / total, text))
        rows.append((names[true], cells))
    size = "matrix many" if len(shown) > MAX_LARGE_CLASSES else "matrix"  # many: as wide as the page
    content = table("Confusion matrix", ("", *(names[k] for k in shown)), rows)
    return Markup('<div class="{}">{}</div>').format(size, content)


def panel(title: str, label: str, legend: str, drawing: str) -> Markup:
    """Return a chart on a card: its title, its label for screen readers, `legend`s and a `plot`."""
    return Markup(
        '<figure class="card"><figcaption><b>{}</b>{}</figcaption><svg class="plot" role="img" '
        'viewBox="0 0 {} {}" aria-label="{}">{}</svg></figure>'
    ).format(title, legend, WIDTH, HEIGHT, label, drawing)


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Return a legend of (label, style): a style is one or two of the page's CSS classes for curves."""
    entry = Markup(
        '<span><svg class="key" viewBox="0 0 32 12" aria-hidden="true">'
        '<path class="curve {}" d="M2 6H30"/></svg>{}</span>'
    )
    return Markup('<div class="legend">{}</div>').format(joined(entry.format(style, label) for label, style in entries))


def plot(
    curves: Sequence[tuple[str, Sequence]], x_name: str, y_name: str, whole: bool = False, reach: Sequence | None = None
) -> Markup:
    """Return the inside of a panel's SVG: curves as (CSS classes, points), both axes from zero.

    With `whole` the ticks of x are whole numbers; `reach` is a point (x, y) that the axes include.
    """
    text, path = Markup('<text x="{}" y="{}"{}>{}</text>'), Markup('<path class="{}" d="{}"/>')
    middle, end = Markup(' text-anchor="middle"'), Markup(' text-anchor="end"')
    known = [(x, y) for _, points in curves for x, y in points if math.isfinite(x + y)]
    if reach is not None:
        known.append(tuple(reach))
    if not known:
        return text.format(WIDTH / 2, HEIGHT / 2, middle, "not recorded")
    xs, ys = zip(*known, strict=True)
    last, y_ticks = max(*xs, 1), _ticks(min(0, *ys), max(ys))
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(LEFT + x / last * (right - LEFT), 1), round(base - up * (base - TOP), 1)

    parts = [text.format(4, 12, "", y_name), text.format((LEFT + right) / 2, HEIGHT - 5, middle, x_name)]
    for tick in y_ticks:
        y = at(0, tick)[1]
        parts.append(path.format("grid", f"M{LEFT} {y}H{right}"))
        parts.append(text.format(LEFT - 8, round(y + 4, 1), end, f"{tick:g}"))
    for tick in (tick for tick in _ticks(0, last, whole=whole) if tick <= last):
        x = at(tick, 0)[0]
        parts.append(path.format("axis", f"M{x} {base}v4"))
        parts.append(text.format(x, base + 18, middle, f"{tick:g}"))
    parts.append(path.format("axis", f"M{LEFT} {base}H{right}"))
    for style, points in curves:
        drawn, connected = "", False
        for point in points:
            present = math.isfinite(sum(point))
            if present:
                x, y = at(*point)
                drawn += f"L{x} {y}" if connected else f"M{x} {y}h0"  # h0: a point on its own is still drawn
            connected = present
        parts.append(path.format(style, drawn))
    return joined(parts)


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Return about five round numbers that enclose low..high."""
    rough = (high - low) / 5 or 0.2
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    step = max(step, 1) if whole else step
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    return [round(step * i, 12) for i in range(first, max(last, first + 1) + 1)]


def figure(caption: str, image: np.ndarray) -> Markup:
    """Return a uint8 RGB image (height, width, 3) and its caption; raise a ValueError for any other image."""
    check_image(image)
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=92, subsampling=0)
    content, (height, width) = base64.b64encode(data.getvalue()).decode(), image.shape[:2]
    return Markup(
        '<figure class="card"><img src="data:image/jpeg;base64,{}" alt="{}" width="{}" height="{}">'
        "<figcaption>{}</figcaption></figure>"
    ).format(content, caption, width, height, caption)


def found_caption(names: Iterable[str]) -> str:
    """Return the caption of an image on which objects of these names were found, each name once with its number."""
    counted = (name if count == 1 else f"{count} × {name}" for name, count in Counter(names).items())
    return f"found: {', '.join(counted) or 'nothing'}"


def images(captioned: Iterable[tuple[str, np.ndarray]], wide: bool = False) -> Markup:
    """Return a grid of `figure`s, a caption and an image each."""
    figures = joined(figure(caption, image) for caption, image in captioned)
    return Markup('<div class="{}">{}</div>').format("images wide" if wide else "images", figures)


def panels(*parts: str) -> Markup:
    """Return charts and other parts beside each other."""
    return Markup('<div class="panels">{}</div>').format(joined(parts))


def number(value) -> float:
    """Return the value as a float; NaN for None, an empty cell or anything else that is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def formatted(value, pattern: str) -> str:
    """Return the value as a pattern formats it, or a dash for what is not a finite number."""
    value = number(value)
    return pattern.format(value) if math.isfinite(value) else MISSING
