"""What published weights need before they are trained: batch-norms, where their file came without them."""

from pathlib import Path

from ...weights import unfold_norms
from ...weights.published.named import published
from ..pipeline.detection import letterboxed

NORM_IMAGES = 120  # to measure them on


def restore_norms(model, network, weights, data, report=print):
    """Measure a detector's batch-norms on images where its weights are of a .onnx file, which has none.

    Args:
        model: the detector, with the weights.
        network: its constructor's name.
        weights: what the constructor got: a path, or the name of published weights.
        data: the `DetectionData` that it will be trained on.
        report: called with a line on what is done.
    """
    file = published(network, weights)
    if Path(file.name if file else weights).suffix == ".onnx":
        unfold_norms(model, letterboxed(data, model.anchors.size, NORM_IMAGES, report=report))
        images = min(NORM_IMAGES, len(data.examples))
        report(f"batch-norms measured on {images} images; the weights came without them")
