"""Small networks in timm's layout, and their weights as timm's files."""

import numpy as np
from safetensors.numpy import save_file

from cspkeras.backbones import timm_layout
from cspkeras.weights.timm import timm_tensors

NAMES = {variant: spec.timm for variant, spec in timm_layout.VARIANTS.items()}
ONE, WIDTHS = (1, 1, 1, 1), (16, 16, 32, 32)
SMALL = {
    "resnet": timm_layout.TimmSpec(
        NAMES["CSPResNet50"], (1, 2, 1, 1), WIDTHS, WIDTHS, WIDTHS, groups=4, resnet=True, stem=8
    ),
    "darknet csp": timm_layout.TimmSpec(NAMES["CSPDarknet53"], (*ONE, 2), (4, *WIDTHS), (8, *WIDTHS), (8, *WIDTHS)),
    "darknet": timm_layout.TimmSpec(NAMES["Darknet53"], (*ONE, 2), (4, *WIDTHS), (8, *WIDTHS)),
}


def build(kind="resnet", input_shape=(32, 32, 3), **options):
    """Build one of `SMALL`."""
    return timm_layout.build(SMALL[kind], input_shape=input_shape, **options)


def save(model, path, change=None, modules=timm_layout.MODULES):
    """Write the weights of a model as a file of timm's, its tensors changed by a function; return the path."""
    tensors = {}
    for name, parts in timm_tensors(model, modules).items():
        values = [np.transpose(np.asarray(variable), np.argsort(axes)) for _, variable, axes in parts]
        tensors[name] = np.ascontiguousarray(np.concatenate(values))
    if change:
        change(tensors)
    save_file(tensors, path)
    return path
