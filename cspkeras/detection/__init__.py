"""Detectors: necks, heads, anchors, assignment, losses and suppression."""

from .catalogue import CSPPeleeNetEFM
from .detector import Detector

__all__ = ["CSPPeleeNetEFM", "Detector"]
