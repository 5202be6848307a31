"""The small parts that all networks are made of.

Convolutions follow Darknet: no bias before a batch-norm, epsilon 1e-5, activation last, and a strided 3x3 is
padded by one on top and left, so published weights give published outputs.
"""

from keras import layers

from .layers import BatchNormalization, ChannelSlice, GroupedConv2D, Upsample

BN_EPSILON = 1e-5
BN_MOMENTUM = 0.97
LEAKY_SLOPE = 0.1

ACTIVATIONS = ("leaky_relu", "mish", "swish", "relu", "relu6", "hard_swish", "linear")


def activate(x, activation, name, *, slope=LEAKY_SLOPE):
    """Apply one of `ACTIVATIONS`, a leaky ReLU with a slope; "linear" (or None) returns `x` itself."""
    if activation in (None, "linear"):
        return x
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}. Received: activation={activation!r}")
    if activation == "leaky_relu":
        return layers.LeakyReLU(negative_slope=slope, name=name)(x)
    return layers.Activation(activation, name=name)(x)


def convolution(x, filters, kernel=1, *, strides=1, groups=1, name):
    """Apply a convolution without bias, padded as Darknet pads; see `conv_bn_act` for the arguments."""
    padding = "same"
    if strides > 1 and kernel > 1:
        # TensorFlow's "same" would put the odd pixel below and right; Darknet has it above and left.
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    options = dict(strides=strides, padding=padding, use_bias=False, name=name)
    if groups == 1:
        return layers.Conv2D(filters, kernel, **options)(x)
    if groups == x.shape[-1]:
        return layers.DepthwiseConv2D(kernel, depth_multiplier=filters // groups, **options)(x)
    return GroupedConv2D(filters, kernel, groups=groups, **options)(x)


def norm(x, name):
    """Apply batch-norm."""
    return BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=name)(x)


def conv_bn_act(x, filters, kernel=1, *, strides=1, groups=1, activation="leaky_relu", slope=LEAKY_SLOPE, name):
    """Apply convolution, batch-norm and activation, padded as Darknet pads.

    Args:
        x: KerasTensor (N, H, W, C).
        filters: output channels.
        kernel: side of the square kernel in pixels.
        strides: 1 or 2.
        groups: the number of groups of channels, each with filters of its own; one per channel of `x` is depthwise.
        activation: one of `ACTIVATIONS` or None for a linear output.
        slope: of a leaky ReLU below zero.
        name: prefix; the layers are called `{name}`, `{name}_bn` and `{name}_act`.

    Returns:
        KerasTensor (N, H / strides, W / strides, filters).
    """
    x = convolution(x, filters, kernel, strides=strides, groups=groups, name=name)
    return activate(norm(x, f"{name}_bn"), activation, f"{name}_act", slope=slope)


def bn_act_conv(x, filters, kernel=1, *, activation="relu", name):
    """Apply batch-norm, activation and convolution, the pre-activated order; see `conv_bn_act` for the arguments."""
    x = activate(norm(x, f"{name}_bn"), activation, f"{name}_act")
    return convolution(x, filters, kernel, name=name)


def dense_layer_two_way(x, growth_rate, bottleneck, *, se=False, near_first=False, activation="leaky_relu", name):
    """Apply PeleeNet's dense layer (arXiv 1804.06882, figure 1b): two branches of different reach, joined to the input.

    Each branch adds half of `growth_rate` channels, by way of a 1x1 convolution to `bottleneck` channels; with `se`
    squeeze-and-excitation gates what is added. The branch of greater reach comes first, unless `near_first`.
    """
    half = growth_rate // 2
    cba = dict(activation=activation)
    far = conv_bn_act(x, bottleneck, 1, **cba, name=f"{name}_far_conv1")
    far = conv_bn_act(far, half, 3, **cba, name=f"{name}_far_conv2")
    far = conv_bn_act(far, half, 3, **cba, name=f"{name}_far_conv3")
    near = conv_bn_act(x, bottleneck, 1, **cba, name=f"{name}_near_conv1")
    near = conv_bn_act(near, half, 3, **cba, name=f"{name}_near_conv2")
    branches = [near, far] if near_first else [far, near]
    if not se:
        return layers.Concatenate(name=f"{name}_concat")([x, *branches])
    ways = layers.Concatenate(name=f"{name}_ways")(branches)
    ways = squeeze_excite(ways, half, activation=activation, name=name)
    return layers.Concatenate(name=f"{name}_concat")([x, ways])


def elastic(x, branch, *, name):
    """Run one half of the channels at full and the other at half resolution (arXiv 1812.05262), as the cfgs have it.

    `branch` is a function of a KerasTensor and a name that keeps the resolution; both its results are concatenated.
    """
    half = x.shape[-1] // 2
    high = branch(ChannelSlice(0, half, name=f"{name}_high")(x), f"{name}_high")
    low = ChannelSlice(half, x.shape[-1], name=f"{name}_low")(x)
    low = branch(layers.MaxPooling2D(2, name=f"{name}_low_pool")(low), f"{name}_low")
    return layers.Concatenate(name=f"{name}_concat")([high, Upsample(name=f"{name}_low_up")(low)])


def squeeze_excite(x, channels, *, activation="leaky_relu", name):
    """Gate each channel by a logistic of all channels' means (arXiv 1709.01507), squeezed to `channels` in between."""
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_pool")(x)
    gate = layers.Conv2D(channels, 1, name=f"{name}_se_squeeze")(gate)
    gate = activate(gate, activation, f"{name}_se_squeeze_act")
    gate = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}_se_excite")(gate)
    return layers.Multiply(name=f"{name}_se_multiply")([x, gate])


def spatial_attention(x, *, name):
    """Gate a map by the logistic of its own 1x1 convolution: SAM as in YOLOv4 and in the paper's EFM(SAM)."""
    gate = conv_bn_act(x, x.shape[-1], 1, activation=None, name=f"{name}_sam")
    gate = layers.Activation("sigmoid", name=f"{name}_sam_gate")(gate)
    return layers.Multiply(name=f"{name}_sam_multiply")([x, gate])
