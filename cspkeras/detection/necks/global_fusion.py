"""The Global Fusion Model, which fuses each scale with all others; the paper compares its Exact Fusion Model to it."""

from functools import partial

from keras import layers

from ...blocks import conv_bn_act
from ...layers import Upsample
from .parts import check_neck, compress

__all__ = ["gfm"]


def gfm(features, *, width=128, activation="leaky_relu"):
    """Build the paper's Global Fusion Model (section 3.3, figure 6b).

    Each scale's map is fused from those of all scales in equal shares: coarser ones compressed by maxout and upsampled,
    finer ones by a 3x3 with stride 2 for each halving.

    No cfg of it was published; this one is in the manner of. With CSPPeleeNet at 416 and 80 classes it counts 4.605
    BFLOPs, as the paper says.

    Args:
        features: pyramid, {"P3": KerasTensor, "P4": ..., "P5": ...}.
        width: channels of every map, and of the shares at stride 32; half as many in those at stride 16, a quarter at
            stride 8. A multiple of 16.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P3": ..., "P4": ..., "P5": ...}, KerasTensors.

    Raises:
        ValueError: if the pyramid lacks a level, and for another width.
    """
    check_neck("gfm", features, ("P3", "P4", "P5"), width, 16)
    conv, narrow = partial(conv_bn_act, activation=activation), partial(compress, activation=activation)
    p5 = conv(conv(features["P5"], width, 1, name="neck_p5_conv1"), width, 3, name="neck_p5_conv2")
    widths = {"P3": width // 4, "P4": width // 2, "P5": width}
    levels, shares = list(widths), {level: [] for level in widths}
    for k, source in enumerate(levels):
        own = x = p5 if source == "P5" else narrow(features[source], widths[source], name=f"neck_{source.lower()}")
        shares[source].append(own)
        for level in levels[k + 1 :]:
            x = conv(x, widths[level], 3, strides=2, name=f"neck_{source}_to_{level}".lower())
            shares[level].append(x)
        for steps, level in enumerate(levels[:k][::-1], 1):
            name = f"neck_{source}_to_{level}".lower()
            shares[level].append(Upsample(2**steps, name=f"{name}_up")(narrow(own, widths[level], name=name)))

    def fuse(maps, name):
        x = layers.Concatenate(name=f"{name}_concat")(maps)
        return conv(conv(x, width, 1, name=f"{name}_conv1"), width, 3, name=f"{name}_conv2")

    return {level: fuse(maps, f"neck_{level.lower()}_fusion") for level, maps in shares.items()}
