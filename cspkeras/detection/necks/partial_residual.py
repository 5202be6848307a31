"""The Partial Residual Network (Wang et al., "Enriching Variety of Layer-wise Learning Information", ICCVW 2019)."""

from functools import partial

from keras import layers

from ...blocks import activate, conv_bn_act
from ...layers import Shortcut, Upsample
from .parts import check_neck

__all__ = ["prn"]


def prn(features, *, width=256, levels=2, activation="leaky_relu"):
    """Build a PRN, which adds a map to the first channels of the backbone's instead of concatenating both.

    As yolov3-tiny-prn.cfg has it, the activation after every addition included. With CSPPeleeNet at 416 and 80 classes
    it counts 3.590 BFLOPs, with three levels 4.586, as the paper says.

    Args:
        features: pyramid, {"P3": KerasTensor (with three levels), "P4": ..., "P5": ...}.
        width: channels at stride 32; half as many at the finer scales. A multiple of 8.
        levels: 2, or 3 for the paper's PRN-3l, whose third scale repeats the second.
        activation: one of `blocks.ACTIVATIONS`.

    Returns:
        {"P4": ..., "P5": ...}, with three levels {"P3": ..., "P4": ..., "P5": ...}, KerasTensors.

    Raises:
        ValueError: if the pyramid lacks a level, and for another width or number of levels.
    """
    if levels not in (2, 3):
        raise ValueError(f"levels must be 2 or 3. Received: levels={levels!r}")
    finer = ("P4", "P3")[: levels - 1]
    check_neck("prn", features, (*finer[::-1], "P5"), width, 8)
    conv = partial(conv_bn_act, activation=activation)

    def add(x, other, name):
        same = x.shape == other.shape
        x = layers.Add(name=name)([x, other]) if same else Shortcut(name=name)([x, other])
        return activate(x, activation, f"{name}_act")

    narrow = conv(features["P5"], width, 1, name="neck_p5_conv1")
    x = conv(narrow, width, 3, name="neck_p5_conv2")
    maps = {"P5": add(x, narrow, "neck_p5_add")}
    for level in finer:
        name, own = f"neck_{level.lower()}", features[level]
        coarser = Upsample(name=f"{name}_up")(conv(x, width // 2, 1, name=f"{name}_conv1"))
        x = conv(add(coarser, own, f"{name}_add1"), width // 2, 3, name=f"{name}_conv2")
        maps[level] = add(add(x, coarser, f"{name}_add2"), own, f"{name}_add3")
    return dict(sorted(maps.items()))
