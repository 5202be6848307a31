"""Necks: from the backbone's pyramid to one feature map a detection scale.

A neck is a function of the pyramid {"P2": KerasTensor, ..., "P5": KerasTensor}, of `activation` and of options of its
own. The levels that it returns, finest first, are those that get a head. It takes any backbone's channels.
"""

from .csp_path_aggregation import pafpn
from .exact_fusion import efm
from .feature_pyramid import fpn, fpn_tiny
from .global_fusion import gfm
from .partial_residual import prn
from .path_aggregation import panet_spp

NECKS = {
    "efm": efm,
    "fpn": fpn,
    "fpn_tiny": fpn_tiny,
    "gfm": gfm,
    "pafpn": pafpn,
    "panet_spp": panet_spp,
    "prn": prn,
}
