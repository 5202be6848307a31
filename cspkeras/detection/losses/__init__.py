"""Losses: assignment of objects to predictions, and what a prediction is wrong by."""

from .yolo import YoloLoss
from .yolox import YoloXLoss


def default_loss(anchors, classes):
    """The loss that goes with a detector's anchors: `YoloXLoss` for an anchor-free one, else `YoloLoss`."""
    return (YoloXLoss if anchors.linear else YoloLoss)(anchors, classes)
