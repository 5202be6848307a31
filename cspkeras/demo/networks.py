"""The networks of the demo: a small CSPPeleeNet without weights, or a small network with published ones."""

from ..backbones import peleenet
from ..detection import Detector
from ..registry import network
from ..training.data.anchors import estimate_anchors
from ..training.data.examples import DetectionData

# CSPPeleeNet at half its width and with half its dense layers.
SPEC = peleenet.PeleeSpec(blocks=(1, 2, 4, 2), cross_stage=True, stem=16, growth_rate=32, bottleneck=(16, 16, 32, 32))
DETECTOR, CLASSIFIER = "YOLOXNano", "CSPNeXtTiny"  # which take published weights
NAMES = {DETECTOR: "CSPPeleeNet + EFM", CLASSIFIER: "CSPPeleeNet"}  # what is built in their place without weights


def network_for(data):
    """Return the name of the network with published weights that suits data."""
    return DETECTOR if isinstance(data, DetectionData) else CLASSIFIER


def build_network(data, size, weights=None):
    """Build the network that suits the data, for square images of `size` pixels.

    `weights` are of `network_for`, by their name or a path; None: a small CSPPeleeNet with random ones.
    """
    published, shape = network_for(data), (size, size, 3)
    detects = published == DETECTOR
    if weights is not None:
        classes = data.class_names if detects else len(data.class_names)
        how = dict(classes=classes, input_shape=shape, weights=str(weights), skip_mismatch=True)
        return network(published).build(**how)
    if not detects:
        return peleenet.build(SPEC, classes=len(data.class_names), input_shape=shape, name="csppeleenet_small")
    return Detector(
        peleenet.build(SPEC, include_top=False, input_shape=shape, name="csppeleenet_small"),
        "efm",
        data.class_names,
        anchors=estimate_anchors(data, shape[:2]),
        neck_options={"width": 128, "sam": True},
    )
