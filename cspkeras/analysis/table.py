"""The backbones' table: what is counted here beside what was published."""

from ..backbones.registry import VARIANTS, get_model, list_models
from .complexity import complexity

COLUMNS = "{:<22}{:>12}{:>12}{:>11}{:>9}{:>11}{:>6}{:>7}{:>7}  {:<20} {}"
HEADER = ("model", "trainable", "weights", "published", "BFLOPs", "published", "at", "top-1", "top-5", "cfg", "source")


def table(pattern="*"):
    """Build and count the backbones whose names match.

    Args:
        pattern: as that of `cspkeras.list_models`.

    Yields:
        The table's lines, one as soon as its model is counted.

    Raises:
        ValueError: where no name matches.
    """
    if not (names := list_models(pattern)):
        raise ValueError(f"no backbone's name matches {pattern!r}; there are {', '.join(list_models())}")
    yield COLUMNS.format(*HEADER)
    for name in names:
        known = VARIANTS[name].published
        cost = complexity(get_model(name, input_shape=(known.size, known.size, 3)))
        params = known.params and f"{known.params:.2f}M"
        counted = f"{cost.trainable:,}", f"{cost.weights:,}", params, f"{cost.bflops:.3f}", known.bflops
        cells = (name, *counted, known.size, known.top1, known.top5, known.cfg, known.source)
        yield COLUMNS.format(*("-" if cell is None else cell for cell in cells))
