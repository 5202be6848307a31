"""Losses of a detector's raw heads, a class each.

A loss is built from the detector's anchors, its number of classes and options, which a recipe's table `loss` sets, and
is called with a batch's targets and raw heads. `suits` says which anchors it is for.
"""

from .rtmdet import RTMDetLoss
from .yolo import YoloLoss
from .yolox import YoloXLoss

LOSSES = YoloLoss, YoloXLoss, RTMDetLoss


def loss_class(anchors):
    """Return the class of `LOSSES` that suits a detector's anchors."""
    return next(loss for loss in LOSSES if loss.suits(anchors))


def default_loss(anchors, classes):
    """Build the loss that suits a detector's anchors, with its default options."""
    return loss_class(anchors)(anchors, classes)
