"""The four networks as timm (pytorch-image-models) has them, for its weights.

They differ from the published cfgs: the two parts are the halves of one 1x1 convolution; part 1 comes first in the
concatenation; the first stage is like the others; the dividing convolutions of the ResNets are linear throughout; leaky
ReLU has the slope 0.01; the ResNets' stem pools 3x3. The input is normalized: `preprocess_input(x, layout="timm")`.
"""

from dataclasses import dataclass
from functools import partial

from keras import layers

from .. import blocks
from ..layers import ChannelSlice
from ..published import Published
from .assembly import Preparation, Spec, assemble
from .loading import checked_layout

LEAKY_SLOPE = 0.01
MODULES = {  # timm's module by a pattern of the layers' names
    "stem_conv": "stem.conv1",
    r"stage(\d+)_downsample": "stages.{}.conv_down",
    r"stage(\d+)_expand": "stages.{}.conv_exp",
    r"stage(\d+)_block(\d+)_(conv\d)": "stages.{}.blocks.{}.{}",
    r"stage(\d+)_part2_transition": "stages.{}.conv_transition_b",
    r"stage(\d+)_transition": "stages.{}.conv_transition",
}

activate = partial(blocks.activate, slope=LEAKY_SLOPE)
conv_bn_act = partial(blocks.conv_bn_act, slope=LEAKY_SLOPE)


@dataclass(frozen=True)
class TimmSpec(Spec):
    """The row of a variant; tuples have one entry per stage."""

    timm: str  # timm's name of it and its published ImageNet weights, in the Hub's repository timm/...
    blocks: tuple[int, ...]
    inner: tuple[int, ...]  # channels within a block
    widths: tuple[int, ...]  # channels of the stage's output
    parts: tuple[int, ...] | None = None  # channels of either part; None: not divided
    groups: int = 1  # of the 3x3 convolutions
    resnet: bool = False  # its stem and blocks rather than Darknet's
    stem: int = 32  # channels


CENTER = Preparation(crop=0.887)
timm_resnet = partial(
    TimmSpec, preparation=CENTER, blocks=(3, 3, 5, 2), parts=(128, 256, 512, 1024), resnet=True, stem=64
)
timm_darknet = partial(
    TimmSpec,
    preparation=CENTER,
    blocks=(1, 2, 8, 8, 4),
    inner=(32, 64, 128, 256, 512),
    widths=(64, 128, 256, 512, 1024),
)

published = partial(Published, "github.com/huggingface/pytorch-image-models", 256)
VARIANTS = {
    "CSPResNet50": timm_resnet(
        "cspresnet50.ra_in1k",
        inner=(64, 128, 256, 512),
        widths=(128, 256, 512, 1024),
        published=published(trainable=21_616_168, top1=79.58),
    ),
    "CSPResNeXt50": timm_resnet(
        "cspresnext50.ra_in1k",
        inner=(128, 256, 512, 1024),
        widths=(256, 512, 1024, 2048),
        groups=32,
        published=published(trainable=20_569_896, top1=80.55),
    ),
    "CSPDarknet53": timm_darknet(
        "cspdarknet53.ra_in1k",
        parts=(64, 64, 128, 256, 512),
        published=published(trainable=27_642_184, top1=80.08),
    ),
    "Darknet53": timm_darknet(
        "darknet53.c2ns_in1k",
        preparation=Preparation(interpolation="bicubic", crop=0.887, test_size=288, test_crop=1.0),
        published=published(trainable=41_609_928, top1=80.01),
    ),
}


def residual_block(x, inner, spec, *, activation, name):
    """Add a 1x1 and a 3x3 convolution to their input; in a ResNet a linear 1x1 follows, and the activation is last."""
    width = x.shape[-1]
    y = conv_bn_act(x, inner, 1, activation=activation, name=f"{name}_conv1")
    if not spec.resnet:
        y = conv_bn_act(y, width, 3, groups=spec.groups, activation=activation, name=f"{name}_conv2")
        return layers.Add(name=f"{name}_add")([y, x])
    y = conv_bn_act(y, inner, 3, groups=spec.groups, activation=activation, name=f"{name}_conv2")
    y = conv_bn_act(y, width, 1, activation=None, name=f"{name}_conv3")
    return activate(layers.Add(name=f"{name}_add")([y, x]), activation, f"{name}_out")


def stem(x, spec, activation):
    """Apply a 3x3 convolution at full resolution, or a ResNet's 7x7 at half and its pooling to a quarter."""
    if not spec.resnet:
        return conv_bn_act(x, spec.stem, 3, activation=activation, name="stem_conv")
    x = conv_bn_act(x, spec.stem, 7, strides=2, activation=activation, name="stem_conv")
    # 3x3/2 padded by one on every side. "same" would begin a pixel later: pool around every pixel and skip some.
    x = layers.MaxPooling2D(3, strides=1, padding="same", name="stem_pool")(x)
    return layers.MaxPooling2D(1, strides=2, name="stem_pool_skip")(x)


def stage(x, index, spec, *, activation):
    """Apply stage `index` (from 1), which halves the resolution except for a ResNet's first."""
    name, width = f"stage{index}", spec.widths[index - 1]
    if not spec.resnet or index > 1:
        strided = dict(strides=2, groups=spec.groups, activation=activation)
        x = conv_bn_act(x, x.shape[-1] if spec.resnet else width, 3, **strided, name=f"{name}_downsample")

    def blocks(x):
        for i in range(1, spec.blocks[index - 1] + 1):
            x = residual_block(x, spec.inner[index - 1], spec, activation=activation, name=f"{name}_block{i}")
        return x

    if not spec.parts:
        return blocks(x)
    part = spec.parts[index - 1]
    x = conv_bn_act(x, 2 * part, activation=None if spec.resnet else activation, name=f"{name}_expand")
    part1 = ChannelSlice(0, part, name=f"{name}_part1")(x)
    part2 = blocks(ChannelSlice(part, 2 * part, name=f"{name}_part2")(x))
    part2 = conv_bn_act(part2, part, activation=activation, name=f"{name}_part2_transition")
    x = layers.Concatenate(name=f"{name}_fuse")([part1, part2])
    return conv_bn_act(x, width, activation=activation, name=f"{name}_transition")


def build(spec, *, activation="leaky_relu", fusion="csp", gamma=0.5, name="timm", **options):
    """Build a network from its `TimmSpec`; see `CSPResNet50` for the arguments."""
    if fusion != "csp" or gamma != 0.5:
        raise ValueError(
            f'layout "timm" allows only fusion="csp" and gamma=0.5. Received: fusion={fusion!r}, gamma={gamma!r}'
        )

    def features(x):
        x = stem(x, spec, activation)
        for index in range(1, len(spec.blocks) + 1):
            x = stage(x, index, spec, activation=activation)
        return x

    return assemble(features, **options, layout="timm", modules=MODULES, name=name)


def build_in(variant, darknet, *, layout, weights, **options):
    """Build the one of `VARIANTS` that is called `variant`; the function `darknet` builds it in the layout "darknet".

    See `checked_layout` for the layout None.
    """
    timm = checked_layout(layout, weights, "timm") == "timm"
    build_it = partial(build, VARIANTS[variant]) if timm else darknet
    return build_it(weights=weights, **options)
