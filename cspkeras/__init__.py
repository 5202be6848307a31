"""The networks of the CSPNet paper (arXiv 1911.11929) in Keras 3, for vision models on phones."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Programs have all names and, for keras.saving, all layers at once. The command `cspkeras` imports what it needs, so
# that its help and its errors don't wait for TensorFlow.
if TYPE_CHECKING or Path((sys.argv or [""])[0]).stem != "cspkeras":
    from . import backbones, detection
    from .backbones import *
    from .classification.imagenet import decode_predictions, preprocess_input
    from .detection import *
    from .registry import get_detector, get_model, list_detectors, list_models
    from .timm import from_timm
    from .training.quantization import aware  # noqa: F401 - registers layers, for saved models that have them
    from .weights import from_darknet, unfold_norms

    __all__ = [
        "decode_predictions",
        "from_darknet",
        "from_timm",
        "get_detector",
        "get_model",
        "list_detectors",
        "list_models",
        "preprocess_input",
        "unfold_norms",
    ]
    __all__ += backbones.__all__
    __all__ += detection.__all__
