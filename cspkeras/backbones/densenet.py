"""DenseNet-201 (arXiv 1608.06993) as Darknet has it, and CSPDenseNet-201.

Darknet's network differs from keras.applications': convolutions come before batch-norm and activation, the transitions
give 128, 256 and 512 channels and the last map has 1,536.

No cfg of CSPDenseNet201 was published; this one is in the manner of the paper's figure 2(b). It saves 12.5 % of the
base's compute (9.326 BFLOPs). Both parts are pooled at the end of a stage, then comes T on part 2, the concatenation,
and M. So the pyramid's levels but the last are part 2's, before T.
"""

import os
from dataclasses import dataclass

import keras
from keras import layers

from ..blocks import conv_bn_act
from ..cross_stage import check_cross_stage, divide, fuse, part_widths
from ..published import Published
from .assembly import Spec, assemble, documented

__all__ = ["CSPDenseNet201", "DenseNet201"]


@dataclass(frozen=True)
class DenseNetSpec(Spec):
    """The row of a variant."""

    blocks: tuple[int, ...] = (6, 12, 48, 32)  # dense layers of each stage
    transitions: tuple[int, ...] = (128, 256, 512)  # channels after each stage but the last
    cross_stage: bool = False
    stem: int = 64  # channels
    growth_rate: int = 32  # channels that each dense layer adds
    bottleneck: int = 128  # channels of the dense layers' 1x1 convolution


VARIANTS = {
    "DenseNet201": DenseNetSpec(
        # 10.85: the cfg classifies every cell of the last map and pools after that.
        published=Published(
            "Darknet's cfg",
            256,
            trainable=17_173_160,
            bflops=10.85,
            counted=10.656,
            cfg="densenet201",
            pyramid=(256, 512, 1792, 1536),
        ),
    ),
    "CSPDenseNet201": DenseNetSpec(
        cross_stage=True,
        published=Published(
            "in the manner of arXiv 1911.11929, figure 2b",
            256,
            trainable=17_216_872,
            counted=9.326,
            pyramid=(224, 448, 1664, 1536),
        ),
    ),
}


def dense_layer(x, growth_rate, bottleneck, *, activation, name):
    """Concatenate a 1x1 and a 3x3 convolution before their input."""
    y = conv_bn_act(x, bottleneck, 1, activation=activation, name=f"{name}_conv1")
    y = conv_bn_act(y, growth_rate, 3, activation=activation, name=f"{name}_conv2")
    return layers.Concatenate(name=f"{name}_concat")([y, x])


def stage(x, index, spec, *, fusion, gamma, activation):
    """Apply stage `index` (from 1) and, except for the last, the transition that halves the resolution."""
    name, transition, last = f"stage{index}", f"transition{index}", index == len(spec.blocks)
    width = None if last else spec.transitions[index - 1]

    def dense_layers(x):
        for i in range(1, spec.blocks[index - 1] + 1):
            layer = dict(activation=activation, name=f"{name}_block{i}")
            x = dense_layer(x, spec.growth_rate, spec.bottleneck, **layer)
        return x

    def pool(x, name="pool"):
        return layers.MaxPooling2D(2, name=f"{transition}_{name}")(x)

    if not spec.cross_stage:
        x = dense_layers(x)
        return x if last else pool(conv_bn_act(x, width, 1, activation=activation, name=f"{transition}_conv"))
    part1, part2 = divide(x, part_widths(x.shape[-1], gamma), activation=activation, name=name)
    part2 = dense_layers(part2)
    if last:  # without M
        fusion = "fusion_last" if fusion == "csp" else fusion
        return fuse(part2, part1, fusion=fusion, activation=activation, name=name)
    return fuse(
        pool(part2, "part2_pool"),
        pool(part1, "part1_pool"),
        part_transition=width - part1.shape[-1],
        transition=width,
        transition_name=f"{transition}_conv",
        fusion=fusion,
        activation=activation,
        name=transition,
    )


def build(spec, *, activation="leaky_relu", fusion="csp", gamma=0.5, name="densenet", **options):
    """Build any network of the family from its `DenseNetSpec`; see `CSPDenseNet201` for the arguments."""
    check_cross_stage(fusion, gamma)

    def features(x):
        x = conv_bn_act(x, spec.stem, 7, strides=2, activation=activation, name="stem_conv")
        x = layers.MaxPooling2D(2, name="stem_pool")(x)
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, activation=activation)
        return x

    return assemble(features, **options, name=name)


@documented(VARIANTS)
def DenseNet201(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    skip_mismatch: bool = False,
    name: str = "densenet201",
) -> keras.Model:
    """Build DenseNet-201 in Darknet's form, the base of CSPDenseNet201."""
    return build(VARIANTS["DenseNet201"], **locals())


@documented(VARIANTS)
def CSPDenseNet201(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (256, 256, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "leaky_relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    skip_mismatch: bool = False,
    name: str = "cspdensenet201",
) -> keras.Model:
    """Build CSPDenseNet-201, in the manner of the paper; no such network was published.

    Its last stage has no transition M unless `fusion` is "fusion_first".
    """
    return build(VARIANTS["CSPDenseNet201"], **locals())
