"""PeleeNet (arXiv 1804.06882) and CSPPeleeNet (arXiv 1911.11929, section 4.2).

CSPPeleeNet is reconstructed from the paper's per-layer figure: all 85 readable bars agree, and so do its totals, 2.83M
and 0.888 BFLOPs. What the published material leaves open is settled so: transitions pool by the maximum, every
convolution ends in a leaky ReLU, and part 2 comes first in a concatenation.
"""

import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import conv_bn_act, dense_layer_two_way
from ..cross_stage import check_cross_stage, cross_stage
from ..published import Published
from .assembly import Spec, assemble, documented

__all__ = ["CSPPeleeNet", "PeleeNet"]


@dataclass(frozen=True)
class PeleeSpec(Spec):
    """The row of a variant."""

    blocks: tuple[int, ...]  # dense layers of each stage
    cross_stage: bool
    stem: int = 32  # channels of each half of the stem
    growth_rate: int = 32  # channels that each dense layer adds
    bottleneck: tuple[int, ...] = (16, 32, 64, 64)  # channels of the dense layers' 1x1 convolutions in each stage


published = partial(Published, "arXiv 1911.11929, table 3", 224)
VARIANTS = {
    "PeleeNet": PeleeSpec(
        blocks=(3, 4, 8, 6),
        cross_stage=False,
        published=published(
            2.79,
            2_802_248,
            bflops=1.017,  # counts the transitions' average pooling as if it took the maximum
            counted=1.0159,
            top1=70.7,
            top5=90.0,
            pyramid=(128, 256, 512, 704),
        ),
    ),
    "CSPPeleeNet": PeleeSpec(
        blocks=(2, 4, 8, 4),
        cross_stage=True,
        published=published(2.83, 2_845_480, bflops=0.888, top1=70.9, top5=90.2, pyramid=(128, 256, 512, 640)),
    ),
}


def stem(x, spec, activation):
    """Reduce the image to stride 4, from stride 2 on by pooling and by convolution, concatenated."""
    cba = dict(activation=activation)
    x = conv_bn_act(x, spec.stem, 3, strides=2, **cba, name="stem_conv1")
    strided = conv_bn_act(x, spec.stem // 2, 1, **cba, name="stem_conv2")
    strided = conv_bn_act(strided, spec.stem, 3, strides=2, **cba, name="stem_conv3")
    pooled = layers.MaxPooling2D(2, name="stem_pool")(x)
    if spec.cross_stage:
        pooled = conv_bn_act(pooled, spec.stem, 1, **cba, name="stem_conv4")
    x = layers.Concatenate(name="stem_concat")([pooled, strided])
    return x if spec.cross_stage else conv_bn_act(x, spec.stem, 1, **cba, name="stem_conv4")


def stage(x, index, spec, *, fusion, gamma, se, activation):
    """Apply stage `index` (from 1) and, except for the last, the transition that halves the resolution."""
    name, last = f"stage{index}", index == len(spec.blocks)

    def dense_layers(x):
        for i in range(1, spec.blocks[index - 1] + 1):
            x = dense_layer_two_way(
                x, spec.growth_rate, spec.bottleneck[index - 1], se=se, activation=activation, name=f"{name}_block{i}"
            )
        return x

    if spec.cross_stage:
        pool = None if last else layers.MaxPooling2D(2, name=f"transition{index}_pool")
        return cross_stage(
            x,
            dense_layers,
            transition_name=None if last else f"transition{index}_conv",
            pool=pool,
            fusion=fusion,
            gamma=gamma,
            activation=activation,
            name=name,
        )
    x = dense_layers(x)
    x = conv_bn_act(x, x.shape[-1], 1, activation=activation, name=f"{name}_transition")
    return x if last else layers.AveragePooling2D(2, name=f"transition{index}_pool")(x)


def build(spec, *, activation="leaky_relu", fusion="csp", gamma=0.5, se=False, name="peleenet", **options):
    """Build any network of the family from its `PeleeSpec`; see `CSPPeleeNet` for the arguments."""
    check_cross_stage(fusion, gamma)

    def features(x):
        x = stem(x, spec, activation)
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, se=se, activation=activation)
        return x

    return assemble(features, **options, name=name)


@documented(VARIANTS)
def PeleeNet(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "peleenet",
) -> keras.Model:
    """Build PeleeNet (arXiv 1804.06882), the base of CSPPeleeNet."""
    return build(VARIANTS["PeleeNet"], **locals())


@documented(VARIANTS)
def CSPPeleeNet(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    se: bool = False,
    skip_mismatch: bool = False,
    name: str = "csppeleenet",
) -> keras.Model:
    """Build CSPPeleeNet: PeleeNet with divided dense stages.

    With `activation="swish"` the published top-1 is 71.7, with `se=True` as well (2.85M parameters) 72.4. The place of
    the squeeze-and-excitation was not published; here it gates what each dense layer adds, in the manner of.
    """
    return build(VARIANTS["CSPPeleeNet"], **locals())
