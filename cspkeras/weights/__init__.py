"""Published networks and weights of other frameworks, read as data."""

from .darknet import from_darknet
from .folded import unfold_norms

__all__ = ["from_darknet", "unfold_norms"]
