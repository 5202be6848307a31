"""The detectors by name, a module a family; each lists its rows and constructors."""

from . import paper, scaled_yolo, yolo, yolox
from .paper import *
from .scaled_yolo import *
from .yolo import *
from .yolox import *

FAMILIES = paper, yolo, scaled_yolo, yolox
__all__ = [*paper.__all__, *yolo.__all__, *scaled_yolo.__all__, *yolox.__all__]
