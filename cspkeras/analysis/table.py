"""Tabulate the backbones and detectors: figures counted here beside published ones."""

from fnmatch import fnmatchcase

from ..backbones import timm_layout
from ..registry import BACKBONE, DETECTOR, NETWORKS
from ..weights.published.rows import PUBLISHED
from .complexity import complexity

COLUMNS = "{:<22}{:>12}{:>12}{:>11}{:>9}{:>11}{:>6}{:>7}{:>7}  {:<39} {}"
ACCURACY = {BACKBONE: {"top-1": "top1", "top-5": "top5"}, DETECTOR: {"AP": "ap", "AP50": "ap50"}}
WEIGHTS_COLUMNS = "{:<22}{:<10}{:<17}{:>12}{:>9}{:>6}{:>10}  {:<32}{:<26}{}"
WEIGHTS_HEADER = "accuracy", "parameters", "BFLOPs", "at", "~int8 MB", "licence", "checked by", "source"
HEADER = "trainable", "weights", "published", "BFLOPs", "published", "at"


def table(pattern="*"):
    """Yield the table's lines, each as soon as its network is counted: the backbones, then the detectors that match."""
    chosen = _chosen(NETWORKS, pattern)
    for kind, figures in ACCURACY.items():
        if names := sorted(name for name in chosen if NETWORKS[name].kind == kind):
            yield _header(kind, *figures)
        for name in names:
            known = NETWORKS[name].spec.published
            yield _line(name, known, *(getattr(known, figure) for figure in figures.values()))


def weights_table(pattern="*"):
    """Yield the lines of a table of the published weights of the networks that match; nothing is built or fetched."""
    yield WEIGHTS_COLUMNS.format("network", "weights", *WEIGHTS_HEADER)
    for network in _chosen(PUBLISHED, pattern):
        for name, file in sorted(PUBLISHED[network].items()):
            rows = timm_layout.VARIANTS if file.hub and network in timm_layout.VARIANTS else {}
            known = rows.get(network, NETWORKS[network].spec).published
            bflops = known.counted or known.bflops
            cost = f"{known.trainable:,}", bflops and f"{bflops:.3f}", known.size, f"{known.trainable / 1e6:.1f}"
            cells = network, name, file.figure, *cost, file.license or "none: by path", file.proof, file.source
            yield WEIGHTS_COLUMNS.format(*("-" if cell is None else cell for cell in cells))
    yield "~int8 MB: a byte for each parameter. What has no licence is not fetched: give the path of a copy as weights."


def _chosen(names, pattern):
    chosen = sorted(name for name in names if fnmatchcase(name, pattern))
    if not chosen:
        raise ValueError(f"no network's name matches {pattern!r}; there are {', '.join(sorted(names))}")
    return chosen


def _header(kind, *accuracy):
    return COLUMNS.format(kind, *HEADER, *accuracy, "cfg", "source")


def _line(name, known, *accuracy):
    cost, params = complexity(NETWORKS[name].build(input_shape=(known.size, known.size, 3))), known.params
    counted = f"{cost.trainable:,}", f"{cost.weights:,}", params and f"{params:.2f}M", f"{cost.bflops:.3f}"
    cells = (name, *counted, known.bflops, known.size, *accuracy, known.cfg, known.source)
    return COLUMNS.format(*("-" if cell is None else cell for cell in cells))
