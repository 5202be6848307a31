"""The networks of the CSPNet paper (arXiv 1911.11929) in Keras 3, for vision models on phones."""

from .backbones import CSPPeleeNet, PeleeNet, pyramid
from .detection import CSPPeleeNetEFM, Detector

__all__ = ["CSPPeleeNet", "CSPPeleeNetEFM", "Detector", "PeleeNet", "pyramid"]
__version__ = "0.1.0"
