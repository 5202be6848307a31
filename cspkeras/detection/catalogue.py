"""Detectors by name."""

from ..backbones import CSPPeleeNet
from .detector import Detector


def CSPPeleeNetEFM(
    classes=80, input_shape=(416, 416, 3), sam=True, *, anchors=None, activation="leaky_relu", name="csppeleenet_efm"
):
    """CSPPeleeNet with the Exact Fusion Model (arXiv 1911.11929, table 4: 26.8 AP, 49.0 AP50 on COCO at 416).

    Args:
        classes: number of classes, or a sequence of their names.
        input_shape: (height, width, 3), height and width multiples of 32.
        sam: whether each fused map passes a spatial attention module: EFM(SAM).
        anchors: None for the published ones, or pairs of (width, height) in pixels of the input.
        activation: one of `cspkeras.blocks.ACTIVATIONS`.
        name: the model's name.

    Returns:
        A `Detector`.
    """
    backbone = CSPPeleeNet(include_top=False, input_shape=input_shape, activation=activation)
    return Detector(
        backbone, "efm", classes, anchors=anchors, neck_options={"sam": sam}, activation=activation, name=name
    )
