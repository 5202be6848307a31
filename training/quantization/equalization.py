"""Channels of very unequal ranges made alike before quantization, where one scale for all would drown the small ones.

A tensor of 8 bits has one scale. Where a few channels reach a hundred and most stay within one, as after YOLOX's stem,
most are left a few steps. After a ReLU, channels could be divided and the next kernel multiplied (arXiv 1906.04721);
swish lets no factor through. But it is a product, `x * sigmoid(x)`: a second convolution gives the value, divided
channel by channel, the first one the gate, of which -8..8 alone matters. Both have fine steps, and all stays in 8 bits.
"""

import keras
import numpy as np

from ...graph import activation_name, copied, followers, operation_of, rebuilt_graph, with_weights
from .kinds import kind_of

MAX_NOISE = 0.1  # noise over signal that a swish may bring into the next convolution's median channel
GATE_CLOSED = -4.0  # below, a swish's gate is as good as closed
STEPS = 255
# The value's kernel to the gate's: the converter would merge two equal ones, and could then fold neither norm into it.
KERNEL_SCALE = 2.0


@keras.saving.register_keras_serializable("cspkeras")
class Gated(keras.layers.Multiply):
    """An equalized value, -1..1, times its gate."""


def equalized(model, images, max_noise=MAX_NOISE):
    """Return the same function, the swishes of very unequal channels split into an equalized value and a gate.

    Only convolutions with norm and swish are split that nothing but convolutions follow, which take the channels'
    factors back.

    Args:
        model: a Keras 3 model, as `flattened` gives it.
        images: iterable of input batches; a few real images.
        max_noise: a swish is split where its 8 bits would bring more noise into the next convolution's median channel,
            relative to its signal.

    Returns:
        `model` itself where there is nothing to split; otherwise a functional model that gives the same answers, with
        weights of its own.
    """
    following = _splittable(model)
    scales = _scales(following, model, images, max_noise)
    if not scales:
        return model
    factors = {conv: scale for swish, scale in scales.items() for conv in following[swish]}

    def make(operation):
        if operation in scales:
            return lambda x, **_: _split(operation, x, scales[operation])
        made, weights = copied(operation, operation.name)
        if operation in factors:
            weights = [weights[0] * factors[operation][:, np.newaxis], *weights[1:]]
        return with_weights(made, weights)

    return rebuilt_graph(model, make)


def _split(swish, x, scale):
    """A swish of `x`, divided by `scale`; `x` comes from a convolution and its norm."""
    norm = operation_of(x)
    conv = operation_of(norm.input)
    made, (kernel, *bias) = copied(conv, f"{conv.name}_value")
    value = with_weights(made, [KERNEL_SCALE * x for x in (kernel, *bias)])(conv.input)
    changes = {"epsilon": KERNEL_SCALE**2 * norm.epsilon}
    made, (gamma, beta, mean, variance) = copied(norm, f"{norm.name}_value", **changes)
    weights = [gamma / scale, beta / scale, KERNEL_SCALE * mean, KERNEL_SCALE**2 * variance]
    value = with_weights(made, weights)(value)
    gate = keras.layers.Activation("sigmoid", name=f"{swish.name}_gate")(x)
    return Gated(name=f"{swish.name}_value")([value, gate])


def _splittable(model):
    """{swish that can be split: the convolutions after it}."""
    after = followers(model)
    answers = set(map(operation_of, model.outputs))

    def before(operation):
        """The operation that gives another one's input, and nothing else; None where others take it too."""
        previous = operation_of(operation.input)
        return previous if len(after[previous]) == 1 else None

    def convolutions(operation):
        """Those that take an operation's output, padded or not; None where anything else does."""
        found = []
        for follower in after.get(operation, []):
            padded = isinstance(follower, keras.layers.ZeroPadding2D)
            plain = -1 in kind_of(follower).channel_axes and getattr(follower, "groups", 1) == 1
            those = convolutions(follower) if padded else [follower] if plain else None
            if those is None:
                return None
            found += those
        return found

    found = {}
    for operation in model.operations:
        if activation_name(operation) != "silu" or operation in answers:
            continue
        norm = before(operation)
        conv = norm and kind_of(norm).folds and norm.scale and norm.center and before(norm)
        linear = conv and kind_of(conv).channel_axes and activation_name(conv) == "linear"
        if linear and (those := convolutions(operation)):
            found[operation] = those
    return found


def _scales(following, model, images, max_noise):
    """{swish: its channels' factors} of those that bring too much noise."""
    if not following:
        return {}
    convs = list(dict.fromkeys(conv for those in following.values() for conv in those))
    probe = keras.Model(model.inputs, [[swish.input for swish in following], [conv.output for conv in convs]])
    ends, moments = {}, {}
    for batch in images:
        inputs, outputs = probe([batch] if len(model.inputs) == 1 else batch, training=False)
        for swish, x in zip(following, inputs, strict=True):
            x = _by_channel(x)
            low, high = ends.get(swish, (0.0, 0.0))
            ends[swish] = np.minimum(low, x.min(0)), np.maximum(high, x.max(0))
        for conv, x in zip(convs, outputs, strict=True):
            x = _by_channel(x)
            moments[conv] = moments.get(conv, 0) + np.stack([np.ones(x.shape[-1]), x.mean(0), np.square(x).mean(0)])
    scales = {}
    for swish, (low, high) in ends.items():
        low = np.maximum(low, GATE_CLOSED)
        step = (high.max() - low.min()) / STEPS
        if max(_noise(conv, step, *moments[conv]) for conv in following[swish]) > max_noise:
            scale = np.maximum(-low, high).astype("float32")
            scales[swish] = np.maximum(scale, scale.max() / STEPS)
    return scales


def _noise(conv, step, count, total, squares):
    """Noise over signal in a convolution's median channel, of rounding its input to steps twice."""
    summed = tuple(range(4 - len(kind_of(conv).channel_axes)))
    noise = 2 * step**2 / 12 * np.square(keras.ops.convert_to_numpy(conv.kernel)).sum(summed).ravel()
    signal = squares / count - (total / count) ** 2
    return float(np.median(np.sqrt(noise / np.maximum(signal, 1e-12))))


def _by_channel(x):
    """A map as (pixels, channels) in NumPy."""
    return keras.ops.convert_to_numpy(x).reshape(-1, x.shape[-1]).astype("float64")
