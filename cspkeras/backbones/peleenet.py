"""PeleeNet (arXiv 1804.06882) and CSPPeleeNet (arXiv 1911.11929, section 4.2).

CSPPeleeNet is reconstructed from the paper's per-layer figure: all 85 readable bars agree, and so do its totals, 2.83M
and 0.888 BFLOPs. What the published material leaves open is settled so: transitions pool by the maximum, every
convolution ends in a leaky ReLU, and part 2 comes first in a concatenation.

The authors' PyTorch code of PeleeNet (github.com/Robert-JunWang/PeleeNet), the layout "torch", differs from the paper's
figures as they are built here: it has ReLU, and in a dense layer the branch of one 3x3 convolution comes first. Its
input is normalized by ImageNet's mean and deviation, as timm's networks have it.
"""

import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import conv_bn_act, dense_layer_two_way
from ..cross_stage import check_cross_stage, cross_stage
from ..published import Published
from ..weights.peleenet import load_peleenet
from .assembly import ARGUMENTS, Spec, assemble, documented
from .loading import checked_layout

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


ACTIVATIONS = {"darknet": "leaky_relu", "torch": "relu"}  # by layout
PELEENET_ARGUMENTS = ARGUMENTS | {
    "weights": "None; a .keras, .weights.h5 or Darknet .weights file; or the authors' .pth or .pth.tar file.",
    "activation": "one of `cspkeras.blocks.ACTIVATIONS`; None for the layout's, leaky ReLU or ReLU.",
    "layout": '"darknet", or "torch" for the network as its authors\' PyTorch code has it, which takes inputs of '
    '`preprocess_input(x, layout="torch")`; None: inferred from `weights`, "darknet" if they do not say (Keras files '
    "do not).",
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


def stage(x, index, spec, *, fusion, gamma, se, near_first, activation):
    """Apply stage `index` (from 1) and, except for the last, the transition that halves the resolution."""
    name, last = f"stage{index}", index == len(spec.blocks)

    def dense_layers(x):
        for i in range(1, spec.blocks[index - 1] + 1):
            x = dense_layer_two_way(
                x,
                spec.growth_rate,
                spec.bottleneck[index - 1],
                se=se,
                near_first=near_first,
                activation=activation,
                name=f"{name}_block{i}",
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


def build(
    spec,
    *,
    weights=None,
    activation="leaky_relu",
    fusion="csp",
    gamma=0.5,
    se=False,
    layout=None,
    name="peleenet",
    **options,
):
    """Build any network of the family from its `PeleeSpec`; see `CSPPeleeNet` and `PeleeNet` for the arguments."""
    check_cross_stage(fusion, gamma)
    layout = "darknet" if spec.cross_stage else checked_layout(layout, weights, "torch")
    activation, near_first = activation or ACTIVATIONS[layout], layout == "torch"

    def features(x):
        x = stem(x, spec, activation)
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, se=se, near_first=near_first, activation=activation)
        return x

    torch = load_peleenet if layout == "torch" else None
    return assemble(features, **options, weights=weights, layout=layout, torch=torch, name=name)


@documented(VARIANTS, PELEENET_ARGUMENTS)
def PeleeNet(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str | None = None,
    layout: str | None = None,
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
    the squeeze-and-excitation was not published; here it gates what each dense layer adds.
    """
    return build(VARIANTS["CSPPeleeNet"], **locals())
