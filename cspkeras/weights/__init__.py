"""Published networks and weights of other frameworks, read as data."""

from .darknet import from_darknet
from .timm import from_timm

__all__ = ["from_darknet", "from_timm"]
