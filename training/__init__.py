"""Data, augmentation, training, evaluation and quantization-aware training."""

import lazy_loader

# __init__.pyi has the names and where they stand; they are loaded when they are asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
