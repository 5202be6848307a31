"""Data, augmentation, training, evaluation and quantization-aware training."""

from importlib import import_module

# Loaded when they are asked for: albumentations and tfmot are extras, and slow to import.
_HOMES = {
    "ClassificationData": "data",
    "DetectionData": "data",
    "Example": "data",
    "LabelledImage": "data",
    "Recipe": "recipe",
    "calibrate": "quantization",
    "estimate_anchors": "anchors",
    "evaluate": "evaluation",
    "fit": "trainer",
    "load_recipe": "recipe",
    "quantize_aware": "quantization",
    "read": "data",
    "read_coco": "coco",
    "read_voc": "voc",
    "refine": "refinement",
    "training_batches": "pipeline",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return __all__
