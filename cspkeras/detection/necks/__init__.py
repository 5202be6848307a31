"""Necks: from the backbone's pyramid to one feature map per detection scale.

A neck is a function of the pyramid {"P2": KerasTensor, ..., "P5": KerasTensor}, of `activation` and of options of its
own. It takes any backbone's channels. Each level that it returns, finest first, gets a head.
"""

from . import (
    csp_path_aggregation,
    exact_fusion,
    feature_pyramid,
    global_fusion,
    partial_residual,
    path_aggregation,
    scaled_path_aggregation,
)

MODULES = (
    csp_path_aggregation,
    exact_fusion,
    feature_pyramid,
    global_fusion,
    partial_residual,
    path_aggregation,
    scaled_path_aggregation,
)
NECKS = dict(sorted((name, getattr(module, name)) for module in MODULES for name in module.__all__))
