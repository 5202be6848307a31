"""Detectors: necks, heads, anchors, assignment, losses and suppression."""

from .catalogue import (
    CSPDarknet53PANetSPP,
    CSPPeleeNetEFM,
    CSPPeleeNetPRN,
    CSPPeleeNetPRN3L,
    CSPResNet50PANetSPP,
    CSPResNeXt50PANetSPP,
    YOLOv3,
    YOLOv4,
    YOLOv4Tiny,
)
from .detector import Detector
from .registry import get_detector, list_detectors
from .yolox import YOLOXS, YOLOXNano, YOLOXTiny

__all__ = [
    "CSPDarknet53PANetSPP",
    "CSPPeleeNetEFM",
    "CSPPeleeNetPRN",
    "CSPPeleeNetPRN3L",
    "CSPResNeXt50PANetSPP",
    "CSPResNet50PANetSPP",
    "Detector",
    "YOLOXNano",
    "YOLOXS",
    "YOLOXTiny",
    "YOLOv3",
    "YOLOv4",
    "YOLOv4Tiny",
    "get_detector",
    "list_detectors",
]
