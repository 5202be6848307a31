"""The table of backbones and detectors: what is counted here beside what was published."""

from ..backbones import registry as of_backbones
from ..detection import registry as of_detectors
from .complexity import complexity

COLUMNS = "{:<22}{:>12}{:>12}{:>11}{:>9}{:>11}{:>6}{:>7}{:>7}  {:<39} {}"
HEADER = "trainable", "weights", "published", "BFLOPs", "published", "at"


def table(pattern="*"):
    """Build and count the backbones and the detectors whose names match.

    Args:
        pattern: as that of `cspkeras.list_models`.

    Yields:
        The table's lines, one as soon as its model is counted; behind the backbones the detectors.

    Raises:
        ValueError: where no name matches.
    """
    backbones, detectors = of_backbones.list_models(pattern), of_detectors.list_detectors(pattern)
    if not backbones and not detectors:
        known = of_backbones.list_models() + of_detectors.list_detectors()
        raise ValueError(f"no model's name matches {pattern!r}; there are {', '.join(known)}")
    if backbones:
        yield _header("backbone", "top-1", "top-5")
    for name in backbones:
        known = of_backbones.VARIANTS[name].published
        yield _line(name, of_backbones.get_model, known, known.top1, known.top5)
    if detectors:
        yield _header("detector", "AP", "AP50")
    for name in detectors:
        known = of_detectors.VARIANTS[name].published
        yield _line(name, of_detectors.get_detector, known, known.ap, known.ap50)


def _header(kind, *accuracy):
    return COLUMNS.format(kind, *HEADER, *accuracy, "cfg", "source")


def _line(name, get, known, *accuracy):
    cost, params = complexity(get(name, input_shape=(known.size, known.size, 3))), known.params
    counted = f"{cost.trainable:,}", f"{cost.weights:,}", params and f"{params:.2f}M", f"{cost.bflops:.3f}"
    cells = (name, *counted, known.bflops, known.size, *accuracy, known.cfg, known.source)
    return COLUMNS.format(*("-" if cell is None else cell for cell in cells))
