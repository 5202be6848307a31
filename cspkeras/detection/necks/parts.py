"""Parts that the necks share."""

from keras import layers

from ...blocks import conv_bn_act
from ...layers import Maxout


def check_neck(neck, features, levels, width=1, multiple=1):
    """Raise a ValueError if the pyramid lacks one of `levels` or the width is not a positive multiple."""
    if missing := [level for level in levels if level not in features]:
        raise ValueError(f"{neck} needs the pyramid levels {levels[0]} to {levels[-1]}. Missing: {', '.join(missing)}")
    if width < multiple or width % multiple:
        raise ValueError(f"width must be a multiple of {multiple}. Received: width={width}")


def compress(x, filters, *, activation, name):
    """Reduce a map to `filters` channels by maxout (the paper's section 3.3); see `layers.Maxout`.

    The published networks' channels are multiples of `filters`. In the manner of: a 1x1 convolution first widens others
    to the next multiple.
    """
    if x.shape[-1] % filters:
        multiple = -(-x.shape[-1] // filters) * filters
        x = conv_bn_act(x, multiple, 1, activation=activation, name=f"{name}_widen")
    return x if x.shape[-1] == filters else Maxout(filters, name=f"{name}_maxout")(x)


def alternate(x, filters, numbers, *, activation, name):
    """Apply YOLO's run of convolutions: 1x1 to `filters` where the number is odd, 3x3 to twice as many where even."""
    for i in numbers:
        width, kernel = (filters, 1) if i % 2 else (2 * filters, 3)
        x = conv_bn_act(x, width, kernel, activation=activation, name=f"{name}_conv{i}")
    return x


def spatial_pyramid_pooling(x, *, name):
    """Apply SPP as YOLO has it (arXiv 1406.4729): concatenate each pixel's maxima over 13, 9, 5 and 1 pixels."""
    pools = [layers.MaxPooling2D(size, 1, padding="same", name=f"{name}_pool{size}")(x) for size in (13, 9, 5)]
    return layers.Concatenate(name=f"{name}_spp")([*pools, x])
