"""What all figures of the docs share: colours, fonts, boxes and arrows, and how a file is written."""

from contextlib import contextmanager

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  the backend comes first

BLUE, ORANGE, GREEN, GREY, INK = "#2563eb", "#d9480f", "#15803d", "#9aa4b2", "#1b1f27"
PALE = {BLUE: "#dbe6fd", ORANGE: "#fde3d6", GREEN: "#d9f0e1", GREY: "#eceff3"}
plt.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text: small, and sharp at any size
        "svg.hashsalt": "cspkeras",  # the same file from the same figure
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 11,
        "figure.facecolor": "white",
    }
)


@contextmanager
def figure(path, width, height, columns=1, **options):
    """A figure of so many inches that is written to `path`; gives its axes, one or an array."""
    fig, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", **options)
    yield axes
    fig.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(fig)


def blank(ax, width, height):
    """Turn axes into a drawing board of so many units, the origin below on the left."""
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    return ax


def box(ax, x, y, text, colour=GREY, width=1.6, height=0.6, size=9):
    """A box around (x, y)."""
    ax.add_patch(
        plt.Rectangle(
            (x - width / 2, y - height / 2), width, height, facecolor=PALE[colour], edgecolor=colour, zorder=2
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=size, zorder=3)


def arrow(ax, *points, colour=INK, style="-"):
    """A line through points that ends in an arrow head."""
    xs, ys = zip(*points, strict=True)
    ax.plot(xs[:-1], ys[:-1], colour, lw=1.2, ls=style, zorder=1, solid_joinstyle="round")
    shape = dict(arrowstyle="-|>", color=colour, lw=1.2, ls=style, shrinkA=0, shrinkB=0)
    ax.annotate("", points[-1], points[-2], arrowprops=shape, zorder=1)
