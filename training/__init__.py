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
    "classification_batches": "classification",
    "estimate_anchors": "anchors",
    "evaluate": "evaluation",
    "evaluation_batches": "classification",
    "fit": "trainer",
    "inspect": "inspection",
    "load_recipe": "recipe",
    "pack": "packing",
    "quantize_aware": "quantization",
    "read": "data",
    "read_coco": "coco",
    "read_image_folder": "image_folder",
    "read_tfds": "tfds",
    "read_tfrecord": "tfrecord",
    "read_voc": "voc",
    "read_yolo": "yolo",
    "refine": "refinement",
    "splits": "data",
    "training_batches": "pipeline",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return __all__
