"""YOLOX's neck: a path aggregation network of CSP layers (arXiv 2107.08430; Megvii's YOLOX, Apache-2.0)."""

from functools import partial

from keras import layers

from ...backbones.yolox_darknet import conv3x3, csp_layer
from ...blocks import conv_bn_act
from ...layers import Upsample
from .parts import check_neck

__all__ = ["pafpn"]


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
    check_neck("pafpn", features, ("P3", "P4", "P5"))
    conv, csp = (partial(f, depthwise=depthwise, activation=activation) for f in (conv3x3, csp_layer))
    c3, c4, c5 = (features[level] for level in ("P3", "P4", "P5"))
    w3, w4, w5 = (x.shape[-1] for x in (c3, c4, c5))

    def join(maps, filters, name):
        return csp(layers.Concatenate(name=f"neck_{name}_concat")(maps), filters, blocks, name=f"neck_{name}")

    def up(x, name):
        return Upsample(name=f"neck_{name}_up")(x)

    n5 = conv_bn_act(c5, w4, activation=activation, name="neck_p5_narrow")
    down = join([up(n5, "p5"), c4], w4, "p4_down")
    n4 = conv_bn_act(down, w3, activation=activation, name="neck_p4_narrow")
    p3 = join([up(n4, "p4"), c3], w3, "p3")
    p4 = join([conv(p3, w3, strides=2, name="neck_p3_strided"), n4], w4, "p4")
    p5 = join([conv(p4, w4, strides=2, name="neck_p4_strided"), n5], w5, "p5")
    return {"P3": p3, "P4": p4, "P5": p5}
