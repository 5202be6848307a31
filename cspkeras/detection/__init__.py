"""Detectors: necks, heads, anchors, assignment, losses and suppression."""

from . import models
from .detector import Detector
from .models import *

__all__: list[str] = ["Detector"]
__all__ += models.__all__
