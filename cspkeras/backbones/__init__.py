"""The paper's backbones, each CSP network beside its base."""

from .assembly import pyramid
from .peleenet import CSPPeleeNet, PeleeNet

__all__ = ["CSPPeleeNet", "PeleeNet", "pyramid"]
