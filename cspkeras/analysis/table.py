"""Tabulate the backbones and detectors: figures counted here beside published ones."""

from fnmatch import fnmatchcase

from ..registry import BACKBONE, DETECTOR, NETWORKS
from .complexity import complexity

COLUMNS = "{:<22}{:>12}{:>12}{:>11}{:>9}{:>11}{:>6}{:>7}{:>7}  {:<39} {}"
ACCURACY = {BACKBONE: {"top-1": "top1", "top-5": "top5"}, DETECTOR: {"AP": "ap", "AP50": "ap50"}}
HEADER = "trainable", "weights", "published", "BFLOPs", "published", "at"


def table(pattern="*"):
    """Yield the table's lines, each as soon as its network is counted: the backbones, then the detectors that match."""
    chosen = [name for name in NETWORKS if fnmatchcase(name, pattern)]
    if not chosen:
        raise ValueError(f"no network's name matches {pattern!r}; there are {', '.join(sorted(NETWORKS))}")
    for kind, figures in ACCURACY.items():
        if names := sorted(name for name in chosen if NETWORKS[name].kind == kind):
            yield _header(kind, *figures)
        for name in names:
            known = NETWORKS[name].spec.published
            yield _line(name, known, *(getattr(known, figure) for figure in figures.values()))


def _header(kind, *accuracy):
    return COLUMNS.format(kind, *HEADER, *accuracy, "cfg", "source")


def _line(name, known, *accuracy):
    cost, params = complexity(NETWORKS[name].build(input_shape=(known.size, known.size, 3))), known.params
    counted = f"{cost.trainable:,}", f"{cost.weights:,}", params and f"{params:.2f}M", f"{cost.bflops:.3f}"
    cells = (name, *counted, known.bflops, known.size, *accuracy, known.cfg, known.source)
    return COLUMNS.format(*("-" if cell is None else cell for cell in cells))
