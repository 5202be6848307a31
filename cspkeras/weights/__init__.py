"""Read published networks and weights of other frameworks as data."""

from .darknet import from_darknet
from .folded import unfold_norms

__all__ = ["from_darknet", "unfold_norms"]
