"""DenseNet-201+Elastic (arXiv 1812.05262) and its CSP version.

Batch-norm and ReLU come before the convolutions here. Every dense layer has two branches, one at full and one at half
resolution, that are summed; in the last stage, 7x7 at the published input of 224x224, both run at full resolution.

The base is exact. What was published of the CSP network, 20.17M parameters and 7.13 BFLOPs, fits no plain design; this
one, 20.05M and 7.13, is in the manner of: parts by slicing, both pooled after the dense layers, T on part 2, the
concatenation as wide as the base's transition, and M. In the last stage there is no T. As in `densenet.py` the
pyramid's levels but the last are part 2's.
"""

import os
from dataclasses import dataclass
from functools import partial

import keras
from keras import layers

from ..blocks import activate, bn_act_conv, convolution, norm
from ..cross_stage import check_cross_stage, part_widths
from ..layers import ChannelSlice, Upsample
from ..published import REPOSITORY, Published
from .assembly import Spec, assemble, documented

__all__ = ["CSPDenseNet201Elastic", "DenseNet201Elastic"]


@dataclass(frozen=True)
class DenseNetElasticSpec(Spec):
    """The row of a variant."""

    blocks: tuple[int, ...] = (10, 20, 40, 30)  # dense layers of each stage
    cross_stage: bool = False
    stem: int = 64  # channels
    growth_rate: int = 32  # channels that each dense layer adds
    bottleneck: int = 64  # channels of the dense layers' 1x1 convolutions


# These figures count by another rule: trainable parameters, and 2 x (multiply-adds + elements of each ReLU + 2 x those
# of each batch-norm + those that each pooling reads).
published = partial(Published, REPOSITORY, 224, top1=77.9, top5=94.0)
VARIANTS = {
    "DenseNet201Elastic": DenseNetElasticSpec(
        published=published(19.48, 19_482_824, bflops=8.77, counted=8.534, pyramid=(384, 832, 1696, 1808)),
    ),
    "CSPDenseNet201Elastic": DenseNetElasticSpec(
        cross_stage=True,
        published=published(20.17, 20_046_280, bflops=7.13, counted=6.934, pyramid=(352, 736, 1488, 1808)),
    ),
}


def dense_layer(x, spec, *, low, activation, name):
    """Concatenate the input and the sum of two branches, 1x1 and 3x3 convolution; if `low`, one at half resolution."""
    y = activate(norm(x, f"{name}_bn"), activation, f"{name}_act")

    def branch(x, name):
        x = convolution(x, spec.bottleneck, 1, name=f"{name}_conv1")
        return bn_act_conv(x, spec.growth_rate, 3, activation=activation, name=f"{name}_conv2")

    high = branch(y, f"{name}_high")
    if low:
        y = layers.AveragePooling2D(2, name=f"{name}_low_pool")(y)
    other = branch(y, f"{name}_low")
    if low:
        other = Upsample(2, "bilinear", name=f"{name}_low_up")(other)
    y = layers.Add(name=f"{name}_add")([high, other])
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def stage(x, index, spec, *, fusion, gamma, activation):
    """Apply stage `index` (from 1) and, except for the last, the transition that halves resolution and channels."""
    name, transition, last = f"stage{index}", f"transition{index}", index == len(spec.blocks)
    width = x.shape[-1] + spec.blocks[index - 1] * spec.growth_rate

    def dense_layers(x):
        for i in range(1, spec.blocks[index - 1] + 1):
            x = dense_layer(x, spec, low=not last, activation=activation, name=f"{name}_block{i}")
        return x

    def pool(x, name):
        return layers.AveragePooling2D(2, name=f"{transition}_{name}")(x)

    def pointwise(x, filters, name):
        return bn_act_conv(x, filters, 1, activation=activation, name=name)

    if not spec.cross_stage:
        x = dense_layers(x)
        return x if last else pool(pointwise(x, width // 2, f"{transition}_conv"), "pool")
    crossing, _ = part_widths(x.shape[-1], gamma)
    part1 = ChannelSlice(0, crossing, name=f"{name}_part1")(x)
    part2 = dense_layers(ChannelSlice(crossing, x.shape[-1], name=f"{name}_part2")(x))
    if not last:
        width, name = width // 2, transition
        part1, part2 = pool(part1, "part1_pool"), pool(part2, "part2_pool")
        if fusion != "fusion_first":
            part2 = pointwise(part2, width - crossing, f"{transition}_part2_transition")
    x = layers.Concatenate(name=f"{name}_fuse")([part2, part1])
    return x if fusion == "fusion_last" else pointwise(x, width, f"{name}_transition" if last else f"{name}_conv")


def build(spec, *, activation="relu", fusion="csp", gamma=0.5, name="densenetelastic", **options):
    """Build any network of the family from its spec; see `CSPDenseNet201Elastic` for the arguments."""
    check_cross_stage(fusion, gamma)

    def features(x):
        x = convolution(x, spec.stem, 7, strides=2, name="stem_conv")
        x = activate(norm(x, "stem_conv_bn"), activation, "stem_conv_act")
        x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, fusion=fusion, gamma=gamma, activation=activation)
        return activate(norm(x, f"stage{index}_bn"), activation, f"stage{index}_act")

    return assemble(features, **options, name=name)


@documented(VARIANTS)
def DenseNet201Elastic(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "relu",
    skip_mismatch: bool = False,
    name: str = "densenet201elastic",
) -> keras.Model:
    """Build DenseNet-201+Elastic, the base of CSPDenseNet201Elastic."""
    return build(VARIANTS["DenseNet201Elastic"], **locals())


@documented(VARIANTS)
def CSPDenseNet201Elastic(
    include_top: bool = True,
    weights: os.PathLike[str] | str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    activation: str = "relu",
    fusion: str = "csp",
    gamma: float = 0.5,
    skip_mismatch: bool = False,
    name: str = "cspdensenet201elastic",
) -> keras.Model:
    """Build CSPDenseNet-201+Elastic, in the manner of the paper, whose own network was not published.

    Its last stage has no transition T.
    """
    return build(VARIANTS["CSPDenseNet201Elastic"], **locals())
