"""Published networks and weights of other frameworks, read as data."""

from .darknet import from_darknet

__all__ = ["from_darknet"]
