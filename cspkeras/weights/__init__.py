"""Published networks and weights of other frameworks, read as data."""

from .darknet import from_darknet
from .folded import unfold_norms
from .timm import from_timm

__all__ = ["from_darknet", "from_timm", "unfold_norms"]
