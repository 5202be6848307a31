"""The detectors, a module a family."""

from . import yolo, yolox
from .yolo import *
from .yolox import *

__all__ = [*yolo.__all__, *yolox.__all__]
