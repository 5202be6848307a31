"""Darknet in NumPy, plain and slow: what a cfg's network answers, for the Keras models to be held against.

A network is a list of (section's name, its options); maps are (C, H, W), as in Darknet.
Below are some networks to try it on.
"""

import struct

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

ACTIVATIONS = {
    "linear": lambda x: x,
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x >= 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507 * np.where(x >= 0, x, 1.6732 * np.expm1(x)),
    "hardtan": lambda x: np.clip(x, -1, 1),
    "hard_mish": lambda x: np.where(x > 0, x, np.where(x > -2, x * x / 2 + x, 0)),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


def windows(x, size, stride=1, dilation=1):
    """Return every window of a map, as (C, OH, OW, size, size)."""
    reach = dilation * (size - 1) + 1
    return sliding_window_view(x, (reach, reach), axis=(1, 2))[:, ::stride, ::stride, ::dilation, ::dilation]


def normalized(x, rng, filters):
    """Return random floats (scale, mean, variance) of a batch-norm, and its output for (filters, ...)."""
    scale, mean, variance = rng.uniform(0.5, 1.5, filters), rng.normal(size=filters), rng.uniform(1e-4, 1, filters)
    shape = (filters, *[1] * (x.ndim - 1))
    mean_, deviation = mean.reshape(shape), np.sqrt(variance + 1e-5).reshape(shape)
    return [scale, mean, variance], scale.reshape(shape) * (x - mean_) / deviation


def convolutional(x, rng, filters, size=1, stride=1, pad=0, padding=0, groups=1, dilation=1, batch_normalize=0):
    kernel = rng.normal(size=(filters, len(x) // groups, size, size)) / np.sqrt(size * size * len(x) / groups)
    bias, norm = rng.normal(size=filters), []
    padding = (size // 2 if pad else padding) * dilation
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    parts = zip(np.split(x, groups), np.split(kernel, groups), strict=True)
    x = np.concatenate([np.einsum("chwij,fcij->fhw", windows(p, size, stride, dilation), k) for p, k in parts])
    if batch_normalize:
        norm, x = normalized(x, rng, filters)
    return [bias, *norm, kernel], x + bias[:, None, None]


def connected(x, rng, output, batch_normalize=0):
    kernel, bias, norm = rng.normal(size=(output, x.size)) / np.sqrt(x.size), rng.normal(size=output), []
    x = kernel @ x.ravel()
    if batch_normalize:
        norm, x = normalized(x, rng, output)
    return [bias, kernel, *norm], (x + bias)[:, None, None]


def pooled(x, reduce, size, stride, padding):
    """Pool as Darknet does: `padding` in all, half of it above and left, NaN in its place."""
    height, width = ((side + padding - size) // stride + 1 for side in x.shape[1:])
    before = padding // 2
    x = np.pad(x, ((0, 0), (before, size), (before, size)), constant_values=np.nan)
    return reduce(windows(x, size, stride)[:, :height, :width], axis=(3, 4))


def shortcut(x, other):
    stride = -(-other.shape[1] // x.shape[1])
    x, channels = x.copy(), min(len(x), len(other))
    x[:channels] += other[:channels, ::stride, ::stride]
    return x


def reorg(x, stride):
    """Reorganize as reorg_cpu does, index by index, with the input's sides where one expects the output's."""
    channels, height, width = x.shape
    x, out, narrow = x.ravel(), np.empty(x.size), channels // stride**2
    for k, j, i in np.ndindex(channels, height, width):
        column, row = i * stride + k // narrow % stride, j * stride + k // narrow // stride
        out[i + width * (j + height * k)] = x[column + width * stride * (row + height * stride * (k % narrow))]
    return out.reshape(channels * stride**2, height // stride, width // stride)


def run(network, image, rng):
    """Give each weighted layer random weights and run the network.

    Returns:
        (outputs, floats): each layer's output (C, H, W), and {layer: its floats in a .weights file, float32}.
    """
    outputs, floats, x = [], {}, image.astype("float64")
    for index, (name, options) in enumerate(network):
        o = dict(options)
        activation = o.pop("activation", "logistic" if name in ("convolutional", "connected") else "linear")
        near = outputs[o["from"] if o["from"] >= 0 else index + o["from"]] if "from" in o else None
        stride = o.get("stride", 1)
        size = o.get("size", stride)
        pooling = size, stride, o.get("padding", size - 1)
        if name in ("convolutional", "connected"):
            parts, x = globals()[name](x, rng, **o)
            floats[index] = np.concatenate([part.ravel() for part in parts]).astype("<f4")
        elif name == "route":
            sources = [outputs[n if n >= 0 else index + n] for n in o["layers"]]
            groups, group = o.get("groups", 1), o.get("group_id", 0)
            x = np.concatenate([np.split(source, groups)[group] for source in sources])
        elif name == "shortcut":
            x = shortcut(x, near)
        elif name in ("sam", "scale_channels"):
            x = x * near
        elif name == "maxpool" and o.get("maxpool_depth"):
            x = x.reshape(-1, o["out_channels"], *x.shape[1:]).max(axis=0)
        elif name == "maxpool":
            x = pooled(x, np.nanmax, *pooling)
        elif name == "local_avgpool":
            x = pooled(x, np.nanmean, *pooling)
        elif name == "avgpool":
            x = x.mean(axis=(1, 2), keepdims=True)
        elif name == "upsample":
            x = x.repeat(stride, axis=1).repeat(stride, axis=2)
        elif name == "softmax":
            x = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        elif name == "reorg":
            x = reorg(x, stride)
        else:
            assert name in ("yolo", "region", "dropout", "cost")
        x = ACTIVATIONS[activation](x)
        outputs.append(x)
    return outputs, floats


def cfg_text(network, height, width):
    """Return the network's cfg."""
    text = f"[net]\nheight={height}\nwidth={width}\nchannels=3\n"
    for name, options in network:
        text += f"\n[{name}]\n"
        for option, value in options.items():
            text += f"{option}={','.join(map(str, value)) if isinstance(value, tuple) else value}\n"
    return text


def write_weights(path, floats):
    """Write a .weights file of the layers' floats, as `run` returns them."""
    path.write_bytes(struct.pack("<3iQ", 0, 2, 5, 64) + b"".join(floats[index].tobytes() for index in sorted(floats)))


def save(folder, network, height=8, width=8, seed=0):
    """Write a network's cfg and random weights; return both paths, an image and each layer's output, channels last."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(size=(3, height, width)).astype("float32")
    outputs, floats = run(network, image, rng)
    cfg, weights = folder / "net.cfg", folder / "net.weights"
    cfg.write_text(cfg_text(network, height, width))
    write_weights(weights, floats)
    return cfg, weights, image.transpose(1, 2, 0)[None], [x.transpose(1, 2, 0)[None] for x in outputs]


def conv(filters=4, size=1, activation="leaky", **options):
    """Return one [convolutional] section."""
    return "convolutional", dict(filters=filters, size=size, pad=1, activation=activation, **options)


CLASSIFIER = [
    conv(8, 3, stride=2, batch_normalize=1),
    conv(8, 3, groups=2, batch_normalize=1),
    ("shortcut", {"from": -2}),
    ("avgpool", {}),
    conv(5, activation="linear"),
    ("softmax", dict(groups=1)),
    ("cost", dict(type="sse")),
]
DETECTOR = [
    conv(8, 3, stride=2, batch_normalize=1),
    conv(14, activation="linear"),
    ("yolo", dict(mask=(2, 3), num=4, classes=2)),
    ("route", dict(layers=(0,))),
    ("upsample", dict(stride=2)),
    conv(7, activation="logistic"),
    ("yolo", dict(mask=(0,), num=4, classes=2)),
]
EVERYTHING = [
    conv(8, 3, groups=1),
    ("maxpool", dict(size=3, stride=2)),
    conv(8, 3, groups=2, dilation=2),
    ("route", dict(layers=(-1, 1), groups=2, group_id=1)),
    ("shortcut", {"from": 0}),
    ("avgpool", {}),
    ("scale_channels", {"from": -2}),
    ("sam", {"from": 4, "activation": "logistic"}),
    ("upsample", dict(stride=2)),
    ("maxpool", dict(maxpool_depth=1, out_channels=4)),
    ("local_avgpool", dict(size=2, stride=2)),
    ("dropout", dict(probability=0.5)),
    ("connected", dict(output=6, batch_normalize=1)),
]
