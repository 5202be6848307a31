"""Channels of very unequal ranges made alike before quantization, where one scale for all would drown the small ones.

A tensor of 8 bits has one scale. Where a few channels reach a hundred and most live within one, as behind YOLOX's stem,
most are left a few steps. Behind a ReLU, channels could be divided and the next kernel multiplied (arXiv 1906.04721);
swish lets no factor through. But it is a product, `x * sigmoid(x)`: a second convolution gives the value, divided
channel by channel, the first one the gate, of which -8..8 alone matters. Both have fine steps, and all stays in 8 bits.
"""

import keras
import numpy as np

from ...graph import activation_name, called, copied, followers, on_new_inputs
from .flattening import flattened

LOUDEST = 0.1  # noise over signal that a swish may bring into the next convolution's median channel
SHUT = -4.0  # below, a swish's gate is as good as shut
STEPS = 255
APART = (
    2.0  # the value's kernel to the gate's: of two alike the converter makes one, and can't fold either norm into it
)
CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@keras.saving.register_keras_serializable("cspkeras")
class Gated(keras.layers.Multiply):
    """An equalized value, -1..1, times its gate."""


def equalized(model, images, loudest=LOUDEST):
    """The same function, the swishes of very unequal channels split into an equalized value and a gate.

    Only convolutions with norm and swish are split that nothing but convolutions follow, which take the channels'
    factors back.

    Args:
        model: a functional Keras 3 model.
        images: iterable of input batches; a few real images.
        loudest: a swish is split where its 8 bits would bring more noise into the next convolution's median channel,
            relative to its signal.

    Returns:
        `model`, flattened, where there is nothing to split; otherwise a functional model that gives the same answers,
        with weights of its own.
    """
    model = flattened(model)
    following = _splittable(model)
    scales = _scales(following, model, images, loudest)
    if not scales:
        return model
    factors = {conv: scale for swish, scale in scales.items() for conv in following[swish]}

    def new(operation):
        if operation in scales:
            return lambda x, **_: _split(operation, x, scales[operation])
        made, weights = copied(operation, operation.name)
        if operation in factors:
            weights = [weights[0] * factors[operation][:, np.newaxis], *weights[1:]]
        return lambda *args, **kwargs: called(made, weights, *args, **kwargs)

    return on_new_inputs(model, lambda images: model._run_through_graph(images, new))


def _split(swish, x, scale):
    """A swish of `x`, divided by `scale`; `x` comes from a norm behind a convolution."""
    norm = x._keras_history.operation
    conv = norm.input._keras_history.operation
    made, (kernel, *bias) = copied(conv, f"{conv.name}_value")
    value = called(made, [APART * x for x in (kernel, *bias)], conv.input)
    changes = {"epsilon": APART**2 * norm.epsilon}
    made, (gamma, beta, mean, variance) = copied(norm, f"{norm.name}_value", **changes)
    value = called(made, [gamma / scale, beta / scale, APART * mean, APART**2 * variance], value)
    gate = keras.layers.Activation("sigmoid", name=f"{swish.name}_gate")(x)
    return Gated(name=f"{swish.name}_value")([value, gate])


def _splittable(model):
    """{swish that can be split: the convolutions behind it}."""
    after = followers(model)
    answers = {x._keras_history.operation for x in model.outputs}

    def before(operation, kinds):
        """The one operation of these kinds that gives another one's input, and that one's alone."""
        previous = operation.input._keras_history.operation
        return previous if isinstance(previous, kinds) and len(after[previous]) == 1 else None

    def convolutions(operation):
        """Those that take an operation's output, padded or not; None where anything else does."""
        found = []
        for follower in after.get(operation, []):
            padded = isinstance(follower, keras.layers.ZeroPadding2D)
            plain = isinstance(follower, CONVOLUTIONS) and getattr(follower, "groups", 1) == 1
            behind = convolutions(follower) if padded else [follower] if plain else None
            if behind is None:
                return None
            found += behind
        return found

    found = {}
    for operation in model.operations:
        if activation_name(operation) != "silu" or operation in answers:
            continue
        norm = before(operation, keras.layers.BatchNormalization)
        conv = norm and norm.scale and norm.center and before(norm, CONVOLUTIONS)
        if conv and activation_name(conv) == "linear" and (behind := convolutions(operation)):
            found[operation] = behind
    return found


def _scales(following, model, images, loudest):
    """{swish: its channels' factors} of those that are too loud."""
    if not following:
        return {}
    convs = list(dict.fromkeys(conv for behind in following.values() for conv in behind))
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
        low = np.maximum(low, SHUT)
        step = (high.max() - low.min()) / STEPS
        if max(_noise(conv, step, *moments[conv]) for conv in following[swish]) > loudest:
            scale = np.maximum(-low, high).astype("float32")
            scales[swish] = np.maximum(scale, scale.max() / STEPS)
    return scales


def _noise(conv, step, count, total, squares):
    """Noise over signal in a convolution's median channel, of rounding its input to steps twice."""
    taken = (0, 1) if isinstance(conv, keras.layers.DepthwiseConv2D) else (0, 1, 2)
    noise = 2 * step**2 / 12 * np.square(keras.ops.convert_to_numpy(conv.kernel)).sum(taken).ravel()
    signal = squares / count - (total / count) ** 2
    return float(np.median(np.sqrt(noise / np.maximum(signal, 1e-12))))


def _by_channel(x):
    """A map as (pixels, channels) in NumPy."""
    return keras.ops.convert_to_numpy(x).reshape(-1, x.shape[-1]).astype("float64")
