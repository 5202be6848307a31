"""One backbone of each kind, narrow and shallow."""

from dataclasses import replace

from cspkeras.registry import NETWORKS

ONE, NARROW = {"blocks": (1, 1, 1, 1)}, {"widths": (16, 16, 32, 32), "stem": 8}
DARKNET = {"blocks": (1,) * 5, "widths": (8, 8, 16, 16, 32), "stem": 8}
DENSE = {**ONE, "stem": 8, "growth_rate": 8, "bottleneck": 8}
MOBILE = {"channels": ((8,), (8, 8), (8, 16), (16,), (24,)), "top": 32}
SMALL = {  # what is other than in the published row
    "PeleeNet": ONE,
    "CSPPeleeNet": ONE,
    "CSPResNet50": {**ONE, **NARROW},
    "CSPResNeXt50": {**ONE, **NARROW, "groups": 4},
    "CSPResNeXt50Elastic": {**ONE, **NARROW, "groups": 4},
    "CSPDarknet53": DARKNET,
    "CSPDarknet53Elastic": DARKNET,
    "CSPDenseNet201": DENSE,
    "CSPDenseNet201Elastic": DENSE,
    "MobileNetV2": MOBILE,
    "CSPMobileNetV2": MOBILE,
}


def small_backbone(name, **options):
    """One of `SMALL` for images of 64x64 and 3 classes."""
    network = NETWORKS[name]
    spec = replace(network.spec, **SMALL[name])
    return network.family.build(spec, **{"input_shape": (64, 64, 3), "classes": 3, **options})
