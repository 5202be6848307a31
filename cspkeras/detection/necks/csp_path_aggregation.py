"""Path aggregation networks of CSP layers: YOLOX's neck (arXiv 2107.08430; Megvii's YOLOX, Apache-2.0) and RTMDet's
(arXiv 2212.07784; OpenMMLab's mmdetection, Apache-2.0).
"""

from functools import partial

from keras import layers

from ...backbones import cspnext, yolox_darknet
from ...blocks import conv_bn_act
from ...layers import Upsample
from .parts import check_neck

__all__ = ["cspnext_pafpn", "pafpn"]

LEVELS = "P3", "P4", "P5"


def pafpn(features, *, blocks=1, depthwise=False, activation="swish"):
    """Build YOLOX's neck: down the pyramid by upsampling, up again by strided convolutions.

    A CSP layer follows each concatenation.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": KerasTensor, "P5": KerasTensor}; other levels are not used.
        blocks: bottlenecks of each CSP layer.
        depthwise: whether the 3x3 convolutions are depthwise separable.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., "P5": ...}, KerasTensors with as many channels as the pyramid's.

    Raises:
        ValueError: if the pyramid lacks a level.
    """
    check_neck("pafpn", features, LEVELS)
    parts = yolox_darknet.conv3x3, yolox_darknet.csp_layer
    conv, csp = (partial(part, depthwise=depthwise, activation=activation) for part in parts)
    return _aggregated(features, conv, partial(csp, blocks=blocks), activation)


def cspnext_pafpn(features, *, blocks=1, activation="swish"):
    """Build RTMDet's neck: YOLOX's with CSPNeXt's blocks, then a 3x3 convolution that gives each map as many channels.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": KerasTensor, "P5": KerasTensor}; other levels are not used.
        blocks: blocks of each CSP layer.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., "P5": ...}, KerasTensors with as many channels as the pyramid's P3.

    Raises:
        ValueError: if the pyramid lacks a level.
    """
    check_neck("cspnext_pafpn", features, LEVELS)
    conv = partial(conv_bn_act, kernel=3, activation=activation)
    csp = partial(cspnext.csp_layer, blocks=blocks, activation=activation)
    maps = _aggregated(features, conv, csp, activation)
    width = features["P3"].shape[-1]
    return {level: conv(x, width, name=f"neck_{level.lower()}_out") for level, x in maps.items()}


def _aggregated(features, conv, csp, activation):
    """Go down the pyramid and up again, by a strided `conv` a level; a `csp` layer follows each concatenation."""
    c3, c4, c5 = (features[level] for level in LEVELS)
    w3, w4, w5 = (x.shape[-1] for x in (c3, c4, c5))

    def join(maps, filters, name):
        return csp(layers.Concatenate(name=f"neck_{name}_concat")(maps), filters, name=f"neck_{name}")

    def up(x, name):
        return Upsample(name=f"neck_{name}_up")(x)

    n5 = conv_bn_act(c5, w4, activation=activation, name="neck_p5_narrow")
    down = join([up(n5, "p5"), c4], w4, "p4_down")
    n4 = conv_bn_act(down, w3, activation=activation, name="neck_p4_narrow")
    p3 = join([up(n4, "p4"), c3], w3, "p3")
    p4 = join([conv(p3, w3, strides=2, name="neck_p3_strided"), n4], w4, "p4")
    p5 = join([conv(p4, w4, strides=2, name="neck_p4_strided"), n5], w5, "p5")
    return {"P3": p3, "P4": p4, "P5": p5}
