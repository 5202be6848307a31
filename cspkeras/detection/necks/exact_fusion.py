"""The paper's own neck, the Exact Fusion Model, which fuses each scale with its neighbours."""

from keras import layers

from ...blocks import conv_bn_act, spatial_attention
from ...layers import Upsample
from .parts import check_neck, compress, spatial_pyramid_pooling

__all__ = ["efm"]


def efm(features, *, width=256, sam=False, spp=False, activation="leaky_relu"):
    """Build the paper's Exact Fusion Model (section 3.3, figure 6c), cross-channel pooling included.

    Each anchor belongs to one exact scale. That scale's map is fused from the scale itself, from the next coarser one
    (upsampled) and from the next finer one (3x3 with stride 2). Maxout first compresses the backbone's maps four to
    one, which saves the paper's 75 % of the feature pyramid's memory.

    No cfg of it was published. Strides 32 and 16 of the way down follow the paper's per-layer figure, the rest is in
    the manner of: with CSPPeleeNet at 416 and 80 classes it counts 4.869 BFLOPs where the paper says 4.868, 5.080 with
    SAM where it says 5.068, and 4.864 with SPP where it says 4.863.

    Args:
        features: pyramid, {"P2": KerasTensor, ..., "P5": KerasTensor}.
        width: channels at stride 32; half as many at each finer scale. A multiple of 32. Where half of it does not
            divide P4's channels, a quarter P3's or an eighth P2's, a 1x1 convolution widens them first.
        sam: whether each fused map passes a spatial attention module.
        spp: whether spatial pyramid pooling precedes the 3x3 at stride 32, which then has half the channels.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., "P5": ...}, KerasTensors.

    Raises:
        ValueError: if the pyramid lacks a level or the width is not a multiple of 32.
    """
    check_neck("efm", features, ("P2", "P3", "P4", "P5"), width, 32)
    half, quarter, eighth = width // 2, width // 4, width // 8

    def conv(x, filters, kernel, name, strides=1):
        return conv_bn_act(x, filters, kernel, strides=strides, activation=activation, name=f"neck_{name}")

    def maxout(x, filters, name):
        return compress(x, filters, activation=activation, name=f"neck_{name}")

    def up(x, name):
        return Upsample(name=f"neck_{name}_up")(x)

    def fuse(maps, filters, name, attend=False):
        x = layers.Concatenate(name=f"neck_{name}_concat")(maps)
        if attend:
            x = spatial_attention(x, name=f"neck_{name}")
        return conv(conv(x, filters, 1, f"{name}_conv1"), filters, 3, f"{name}_conv2")

    # Down the pyramid: each scale takes the next coarser, stride 16 the next finer as well.
    p5 = conv(features["P5"], width, 1, "p5_conv1")
    if spp:
        p5 = conv(spatial_pyramid_pooling(p5, name="neck_p5"), width, 1, "p5_spp_conv")
    p5 = conv(p5, half if spp else width, 3, "p5_conv2")
    down = up(conv(p5, half, 1, "p5_narrow"), "p5_narrow")
    p4 = fuse([down, maxout(features["P4"], half, "p4")], half, "p4")
    finer = conv(maxout(features["P3"], quarter, "p3"), quarter, 3, "p3_strided", strides=2)
    p4 = fuse([conv(p4, quarter, 1, "p4_narrow"), finer], quarter, "p4_mid")
    down = up(conv(p4, eighth, 1, "p4_mid_narrow"), "p4_mid_narrow")
    p3 = fuse([down, maxout(features["P3"], eighth, "p3_own")], quarter, "p3")

    # The exact fusions.
    finer = conv(maxout(features["P2"], eighth, "p2"), eighth, 3, "p2_strided", strides=2)
    p3 = fuse([conv(p3, eighth, 1, "p3_narrow"), finer, up(p4, "p4_mid")], quarter, "p3_fusion", sam)
    coarser = maxout(p5, quarter, "p5")
    p4 = fuse([conv(p3, half, 3, "p3_down", strides=2), p4, up(coarser, "p5")], half, "p4_fusion", sam)
    p5 = fuse([conv(p4, width, 3, "p4_down", strides=2), coarser], half, "p5_fusion", sam)
    return {"P3": p3, "P4": p4, "P5": p5}
