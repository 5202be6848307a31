"""timm's larger CS3 networks, of other blocks: gated by squeeze-and-excitation, and CS3EdgeNet's wide ones."""

import os
from dataclasses import replace

import keras

from .assembly import TIMM_ARGUMENTS, documented
from .cs3 import WHOLE, build, row

__all__ = ["CS3EdgeNetX", "CS3SEDarknetL", "CS3SEDarknetX", "CS3SEEdgeNetX"]

VARIANTS = {
    "CS3SEDarknetL": row("cs3sedarknet_l.c2ns_in1k", "L", 21_913_592, 9.696, 81.77, 95.96, squeeze=1 / 4),
    "CS3SEDarknetX": row(
        "cs3sedarknet_x.c2ns_in1k", "X", 35_397_904, 16.711, 82.65, 96.35, preparation=WHOLE, squeeze=1 / 16
    ),
    "CS3EdgeNetX": row("cs3edgenet_x.c2_in1k", "X", 47_821_120, 23.002, 82.73, 96.37, preparation=WHOLE, edge=True),
    "CS3SEEdgeNetX": row(
        "cs3se_edgenet_x.c2ns_in1k",
        "X",
        50_721_584,
        23.008,
        83.55,
        96.66,
        preparation=replace(WHOLE, crop=0.95, test_size=320),
        edge=True,
        squeeze=1 / 4,
    ),
}


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3SEDarknetL(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3sedarknetl",
) -> keras.Model:
    """Build the large CS3Darknet with squeeze-and-excitation in its blocks."""
    return build(VARIANTS["CS3SEDarknetL"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3SEDarknetX(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3sedarknetx",
) -> keras.Model:
    """Build the largest CS3Darknet with squeeze-and-excitation in its blocks."""
    return build(VARIANTS["CS3SEDarknetX"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3EdgeNetX(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3edgenetx",
) -> keras.Model:
    """Build CS3EdgeNet, whose blocks are a wide 3x3 convolution and a 1x1."""
    return build(VARIANTS["CS3EdgeNetX"], **locals())


@documented(VARIANTS, TIMM_ARGUMENTS)
def CS3SEEdgeNetX(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "swish",
    skip_mismatch: bool = False,
    name: str = "cs3seedgenetx",
) -> keras.Model:
    """Build CS3EdgeNet with squeeze-and-excitation in its blocks."""
    return build(VARIANTS["CS3SEEdgeNetX"], **locals())
