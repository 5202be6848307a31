"""Networks small enough for a test: one of each kind, narrow and shallow, and a detector."""

from dataclasses import replace
from functools import cache

import keras

from cspkeras.backbones import (
    cs3,
    cspnext,
    darknet,
    darknet_tiny,
    densenet,
    densenet_elastic,
    mobilenet,
    peleenet,
    resnet,
    timm_layout,
)
from cspkeras.detection import Detector
from cspkeras.detection.models import rtmdet, yolox
from cspkeras.registry import NETWORKS

ONE, NARROW = {"blocks": (1, 1, 1, 1)}, {"widths": (16, 16, 32, 32), "stem": 8}
DARKNET = {"blocks": (1,) * 5, "widths": (8, 8, 16, 16, 32), "stem": 8}
DENSE = {**ONE, "stem": 8, "growth_rate": 8, "bottleneck": 8}
MOBILE = {"channels": ((8,), (8, 8), (8, 16), (16,), (24,)), "top": 32}
SMALL = {  # by a published network's name: what differs from its row
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
LARGER = {  # of no other layers than the rest of their family
    *(f"CS3Darknet{size}" for size in ("M", "L", "X", "FocusM", "FocusL", "FocusX")),
    *(f"CSPNeXt{size}" for size in ("S", "M", "L", "X")),
    *(f"RTMDet{size}" for size in ("S", "M", "L", "X")),
    *(f"YOLOX{size}" for size in ("M", "L", "X")),
    *("CS3SEDarknetX", "CS3EdgeNetX", "YOLOv4P5", "YOLOv4P6"),
}


def small_backbone(name, **options):
    """One of `SMALL` for images of 64x64 and 3 classes."""
    network = NETWORKS[name]
    spec = replace(network.spec, **SMALL[name])
    return network.family.build(spec, **{"input_shape": (64, 64, 3), "classes": 3, **options})


def small_detector(size=64, classes=3, width=64):
    """A CSPPeleeNet + EFM small enough for a test, its weights as initialized: most kinds of layers, three maps."""
    spec = peleenet.PeleeSpec(blocks=(1, 2, 2, 1), cross_stage=True, stem=8, growth_rate=16, bottleneck=(8, 8, 16, 16))
    backbone = peleenet.build(spec, include_top=False, input_shape=(size, size, 3))
    return Detector(backbone, "efm", classes, neck_options={"width": width, "sam": True})


EACH, WIDTHS = (1, 1, 1, 1), (16, 16, 32, 32)
LAYERS, CHANNELS = ((1,) * 5, (8, 8, 16, 16, 32)), ((8,), (8, 8), (8, 16), (16,), (24,))
KINDS = {  # by a description: the family and the whole row
    "pelee": (peleenet, peleenet.PeleeSpec((1, 2, 1, 1), True, stem=8, growth_rate=8, bottleneck=(4, 4, 8, 8))),
    "resnet": (resnet, resnet.ResNetSpec((1, 2, 1, 1), WIDTHS, squeeze=4, stem=8)),
    "resnet basic": (resnet, resnet.ResNetSpec(EACH, WIDTHS, squeeze=None, stem=8)),
    "resnet basic csp": (resnet, resnet.ResNetSpec(EACH, WIDTHS, squeeze=None, cross_stage=True, expansion=2, stem=8)),
    "resnext csp": (
        resnet,
        resnet.ResNetSpec((2, 1, 1, 1), WIDTHS, squeeze=1, groups=4, cross_stage=True, expansion=2, stem=8),
    ),
    "resnext elastic": (
        resnet,
        resnet.ResNetSpec(EACH, WIDTHS, squeeze=1, groups=4, cross_stage=True, elastic=True, stem=8),
    ),
    "darknet csp": (darknet, darknet.DarknetSpec(*LAYERS, cross_stage=True, stem=8)),
    "darknet elastic": (darknet, darknet.DarknetSpec(*LAYERS, cross_stage=True, elastic=True, stem=8)),
    "darknet tiny": (darknet_tiny, darknet_tiny.DarknetTinySpec((8, 16, 16), 32, stem=8)),
    "densenet csp": (
        densenet,
        densenet.DenseNetSpec((1, 2, 1, 1), (16, 24, 32), cross_stage=True, stem=8, growth_rate=8, bottleneck=8),
    ),
    "densenet elastic csp": (
        densenet_elastic,
        densenet_elastic.DenseNetElasticSpec((1, 1, 2, 1), cross_stage=True, stem=8, growth_rate=16, bottleneck=8),
    ),
    "mobilenet": (mobilenet, mobilenet.MobileNetV2Spec(CHANNELS, 2, 1, cross_stage=False, top=32, stem=8)),
    "mobilenet csp": (mobilenet, mobilenet.MobileNetV2Spec(CHANNELS, 2, 2, cross_stage=True, top=32, stem=16)),
    "timm resnext": (
        timm_layout,
        timm_layout.TimmSpec("cspresnext50", EACH, WIDTHS, WIDTHS, WIDTHS, groups=4, resnet=True, stem=8),
    ),
    "timm darknet csp": (timm_layout, timm_layout.TimmSpec("cspdarknet53", *LAYERS, LAYERS[1], (8, 8, 8, 16, 16))),
    "cs3": (cs3, cs3.CS3Spec("cs3", 8, EACH, focus=True, edge=True, squeeze=1 / 4)),
    "cspnext": (cspnext, cspnext.CSPNeXtSpec("cspnext", 8, EACH)),
}


def build_kind(kind, input_shape=(64, 64, 3), **options):
    """Build one of `KINDS`."""
    family, spec = KINDS[kind]
    return family.build(spec, input_shape=input_shape, **options)


def shallow_detector(size=64, classes=3, width=16):
    """A detector of few layers and two maps, where any will do: a quarter of `small_detector`'s time to trace."""
    backbone = build_kind("darknet tiny", (size, size, 3), include_top=False)
    return Detector(backbone, "fpn_tiny", classes, neck_options={"width": width})


def small_rtmdet(weights=None, classes=3, size=64, **options):
    """An RTMDet a third as wide as the smallest."""
    spec = rtmdet.RTMDetSpec(replace(cspnext.VARIANTS["CSPNeXtTiny"], width=8), 1, False)
    return rtmdet.build(
        spec, classes=classes, input_shape=(size, size, 3), weights=weights, **{"name": "small", **options}
    )


def small_yolox(classes=3, size=64, **options):
    """A YOLOX half as wide as the smallest."""
    return yolox.build(
        yolox.YoloxSpec(8, 1, True), classes=classes, input_shape=(size, size, 3), name="small", **options
    )


@cache
def classifier(kind):
    """Build one of `KINDS` for 7 classes, once; no test may change it."""
    keras.utils.set_random_seed(1)
    return build_kind(kind, classes=7)
