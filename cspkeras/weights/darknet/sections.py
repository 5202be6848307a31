"""The kinds of sections of a Darknet cfg, each with the builder of its Keras layers.

A builder is a function of the `Graph` so far, its `Section` and the prefix of its layers' names; it returns its
output, or None if the network ends there. Every map is (N, H, W, C); what Darknet calls a vector is a map of 1x1.
"""

from keras import layers

from ...blocks import BN_EPSILON, BN_MOMENTUM
from ...layers import BatchNormalization, ChannelSlice, GroupedConv2D, Maxout, Shortcut, Upsample
from .cfg import LARGEST, shown
from .file import WeightedLayer
from .graph import activated, by

MAX_KERNEL = 255
MAX_SOURCES = 100  # of a route


def _only(section, **accepted):
    """Raise a ValueError for an option with another value than the one that is supported (None: no value is)."""
    for option, value in accepted.items():
        if (text := section.text(option, None)) not in (None, str(value)):
            supported = "not supported" if value is None else f"supported only as {value}"
            raise section.error(f"the option is {supported}. Received: {option}={shown(text)}", option)


def _check_fits(section, x, size, padding):
    if size > min(x.shape[1:3]) + padding:
        raise section.error(f"size={size} does not fit a map of {by(x.shape[1:3])} padded by {padding}", "size")


def _weighted(graph, section, name, x, layer_class, *args, connected=False, **options):
    """Add a convolution, the batch-norm if the section has one, and the activation."""
    normalized = section.integer("batch_normalize", 0, low=0, high=1)
    convolution = layer_class(*args, **options, use_bias=not normalized, name=f"{name}_conv")
    x, norm = convolution(x), None
    if normalized:
        norm = BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=f"{name}_bn")
        x = norm(x)
    index = len(graph.outputs)
    place = f"layer {index} ([{section.name}] in line {section.line} of {section.path})"
    graph.weighted.append(WeightedLayer(index, place, convolution, norm, connected))
    return activated(x, section, "logistic", name)


def _convolutional(graph, section, name):
    x = graph.previous(section)
    filters, stride = section.integer("filters"), section.integer("stride", 1)
    size = section.integer("size", 1, high=MAX_KERNEL)
    groups, dilation = section.integer("groups", 1), section.integer("dilation", 1)
    _only(section, stride_x=stride, stride_y=stride, dilation=1 if stride > 1 else dilation)
    _only(section, antialiasing=0, binary=0, xnor=0, flipped=0, dontload=0, share_index=None)
    padding = section.integer("padding", 0, low=0, high=size)
    padding = dilation * (size // 2 if section.integer("pad", 0, low=0) else padding)
    channels, reach = x.shape[-1], dilation * (size - 1)
    if channels % groups or filters % groups:
        raise section.error(
            f"groups must divide {channels} channels, {filters} filters. Received: groups={groups}", "groups"
        )
    _check_fits(section, x, reach + 1, 2 * padding)
    graph.weigh(section, filters * (channels // groups * size**2 + 4))
    same = stride == 1 and 2 * padding == reach
    if padding and not same:
        x = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    options = dict(strides=stride, padding="same" if same else "valid", dilation_rate=dilation)
    if groups == 1:
        return _weighted(graph, section, name, x, layers.Conv2D, filters, size, **options)
    if groups == channels:
        options["depth_multiplier"] = filters // groups
        return _weighted(graph, section, name, x, layers.DepthwiseConv2D, size, **options)
    return _weighted(graph, section, name, x, GroupedConv2D, filters, size, groups=groups, **options)


def _connected(graph, section, name):
    x, outputs = graph.previous(section), section.integer("output")
    _only(section, dontload=0)
    _, height, width, channels = x.shape
    graph.weigh(section, outputs * (height * width * channels + 4))
    return _weighted(graph, section, name, x, layers.Conv2D, outputs, (height, width), connected=True)


def _route(graph, section, name):
    numbers = section.integers("layers")
    if len(numbers) > MAX_SOURCES:
        raise section.error(f"a route joins at most {MAX_SOURCES} layers. Received: {len(numbers):,}", "layers")
    sources = [graph.source(section, "layers", number) for number in numbers]
    groups = section.integer("groups", 1)
    group = section.integer("group_id", 0, low=0, high=groups - 1)
    shapes = by(*(x.shape[1:] for x in sources))
    if len({x.shape[1:3] for x in sources}) > 1:
        raise section.error(f"the layers' maps must be of one size. Received: {shapes}{graph.odd_size()}", "layers")
    if any(x.shape[-1] % groups for x in sources):
        raise section.error(f"groups must divide the channels of {shapes}. Received: groups={groups}", "groups")
    if groups > 1:
        widths = [x.shape[-1] // groups for x in sources]
        sources = [
            ChannelSlice(group * width, (group + 1) * width, name=f"{name}_slice{i}")(x)
            for i, (x, width) in enumerate(zip(sources, widths, strict=True))
        ]
    return sources[0] if len(sources) == 1 else layers.Concatenate(name=f"{name}_concat")(sources)


def _from(graph, section):
    return graph.source(section, "from", section.integer("from", low=-LARGEST))


def _shortcut(graph, section, name):
    _only(section, weights_type="none", weights_normalization="none")
    x, other = graph.previous(section), _from(graph, section)
    strides = -(-other.shape[1] // x.shape[1])
    if tuple(-(-side // strides) for side in other.shape[1:3]) != x.shape[1:3]:
        shapes = by(other.shape[1:], x.shape[1:])
        raise section.error(f"a map can be added to one as large or a whole stride smaller. Received: {shapes}", "from")
    add = layers.Add(name=f"{name}_add") if other.shape == x.shape else Shortcut(strides, name=f"{name}_add")
    return activated(add([x, other]), section, "linear", name)


def _sam(graph, section, name):
    x, other = graph.previous(section), _from(graph, section)
    if x.shape != other.shape:
        raise section.error(f"the maps must be of one shape. Received: {by(x.shape[1:], other.shape[1:])}", "from")
    return activated(layers.Multiply(name=f"{name}_multiply")([x, other]), section, "linear", name)


def _scale_channels(graph, section, name):
    _only(section, scale_wh=0)
    x, other = graph.previous(section), _from(graph, section)
    if x.shape[1:] != (1, 1, other.shape[-1]):
        shapes = by(x.shape[1:], other.shape[1:])
        raise section.error(f"expected a 1x1 map to scale the other's channels by. Received: {shapes}", "from")
    return activated(layers.Multiply(name=f"{name}_multiply")([other, x]), section, "linear", name)


def _maxpool(graph, section, name):
    if not section.integer("maxpool_depth", 0, low=0, high=1):
        return _pool(layers.MaxPooling2D, graph, section, name)
    x, filters = graph.previous(section), section.integer("out_channels", 1)
    if x.shape[-1] % filters:
        raise section.error(f"out_channels must divide {x.shape[-1]}. Received: out_channels={filters}", "out_channels")
    return Maxout(filters, name=f"{name}_maxout")(x)


def _local_avgpool(graph, section, name):
    return _pool(layers.AveragePooling2D, graph, section, name)


def _pool(layer_class, graph, section, name):
    """Add pooling, padded by `size - 1` pixels in all, the odd one below and right, which are ignored."""
    x, stride = graph.previous(section), section.integer("stride", 1)
    size = section.integer("size", stride)
    padding = section.integer("padding", size - 1, low=0)
    _only(section, stride_x=stride, stride_y=stride, antialiasing=0)
    if padding not in (0, size - 1):
        raise section.error(f"padding must be 0 or size - 1. Received: padding={padding}, size={size}", "padding")
    _check_fits(section, x, size, padding)
    if not padding:
        return layer_class(size, stride, name=f"{name}_pool")(x)
    # If TensorFlow's "same" begins at another pixel than Darknet, pool around every pixel and skip some.
    same = all(max((side - 1) // stride * stride + size - side, 0) // 2 == padding // 2 for side in x.shape[1:3])
    x = layer_class(size, stride if same else 1, padding="same", name=f"{name}_pool")(x)
    return x if same else layers.AveragePooling2D(1, stride, name=f"{name}_skip")(x)


def _avgpool(graph, section, name):
    return layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(graph.previous(section))


def _upsample(graph, section, name):
    _only(section, scale=1)
    return Upsample(section.integer("stride", 2), name=f"{name}_up")(graph.previous(section))


def _dropout(graph, section, name):
    return layers.Dropout(section.fraction("probability", 0.2), name=f"{name}_dropout")(graph.previous(section))


def _softmax(graph, section, name):
    _only(section, groups=1, temperature=1, spatial=0, tree=None)
    x = graph.previous(section)
    if x.shape[1:3] != (1, 1):
        raise section.error(f"expected a map of 1x1, such as [avgpool] gives. Received: {by(x.shape[1:])}")
    graph.scores = layers.Flatten(name=f"{name}_flatten")(x)
    if graph.classifier_activation is not None:
        graph.scores = layers.Activation(graph.classifier_activation, name=f"{name}_softmax")(graph.scores)


def _reorg(graph, section, name):
    """Add YOLOv2's [reorg], whose order is that of reorg_cpu in Darknet's blas.c.

    A map (C, H, W) is read as (C / s^2, H * s, W * s), its blocks of s * s pixels become channels, and the result is
    read as (C * s^2, H / s, W / s): not space to depth, which is [reorg3d].
    """
    _only(section, reverse=0, flatten=0, extra=0)
    x, stride = graph.previous(section), section.integer("stride", 1)
    _, height, width, channels = x.shape
    if height % stride or width % stride or channels % stride**2:
        raise section.error(
            f"stride={stride} must divide the sides of a map {by(x.shape[1:])}, its square the channels"
        )
    x = layers.Permute((3, 1, 2), name=f"{name}_channels_first")(x)
    x = layers.Reshape((channels * height // stride**2, stride, width, stride), name=f"{name}_blocks")(x)
    x = layers.Permute((2, 4, 1, 3), name=f"{name}_order")(x)
    pixels = height // stride * (width // stride)
    x = layers.Reshape((channels * stride**2, pixels), name=f"{name}_channels")(x)
    x = layers.Permute((2, 1), name=f"{name}_channels_last")(x)
    return layers.Reshape((height // stride, width // stride, channels * stride**2), name=f"{name}_map")(x)


def _yolo(graph, section, name):
    _head(graph, section, len(section.integers("mask", range(section.integer("num", 1)), low=0)))


def _region(graph, section, name):
    _only(section, coords=4, tree=None, map=None)
    _head(graph, section, section.integer("num", 1))


def _head(graph, section, anchors):
    x, classes = graph.previous(section), section.integer("classes", 20)
    if x.shape[-1] != anchors * (5 + classes):
        channels = anchors * (5 + classes)
        raise section.error(f"{anchors} anchors of {classes} classes take {channels} channels. Received: {x.shape[-1]}")
    graph.heads.append(x)


def _cost(graph, section, name):
    return graph.outputs[-1] if graph.outputs else graph.image


BUILDERS = {  # Darknet has two names for some
    **dict.fromkeys(("avg", "avgpool"), _avgpool),
    **dict.fromkeys(("conn", "connected"), _connected),
    **dict.fromkeys(("conv", "convolutional"), _convolutional),
    "cost": _cost,
    "dropout": _dropout,
    **dict.fromkeys(("local_avg", "local_avgpool"), _local_avgpool),
    **dict.fromkeys(("max", "maxpool"), _maxpool),
    "region": _region,
    "reorg": _reorg,
    "route": _route,
    "sam": _sam,
    "scale_channels": _scale_channels,
    "shortcut": _shortcut,
    **dict.fromkeys(("soft", "softmax"), _softmax),
    "upsample": _upsample,
    "yolo": _yolo,
}
