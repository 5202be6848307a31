"""Detectors: necks, heads, anchors, assignment, losses and suppression."""

from .catalogue import CSPPeleeNetEFM
from .detector import Detector
from .yolox import YOLOXS, YOLOXNano, YOLOXTiny

__all__ = ["CSPPeleeNetEFM", "Detector", "YOLOXNano", "YOLOXS", "YOLOXTiny"]
