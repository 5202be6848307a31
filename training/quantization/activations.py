"""What quantization knows of each activation, and how int8 kernels compute those that take them several steps.

No step is abs, or a relu that no kernel fuses: in 8 bits LiteRT computes these value by value, some fifty times slower
than the others, which it has tables or vectors for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers, ops

from .quantizers import SYMMETRIC, UNIT, FakeQuant, register

FREE = None  # a step whose range follows its values


@dataclass(frozen=True)
class Activation:
    """What becomes of an activation.

    Attributes:
        fused: a kernel applies it to its output in the same step, so that what lies between has no scale.
        range: the one range that int8 kernels have for its output; None for one that follows the values.
        low: its smallest input that matters; below, its output changes by less than a step of 8 bits. None: no limit.
        high: its largest input that matters.
        steps: function of the input, a list of quantizers and the options, that computes it in several steps as an
            int8 file does. None: it is one step.
        ranges: of the quantizers of the steps, in order.
    """

    fused: bool = False
    range: tuple[float, float] | None = None
    low: float | None = None
    high: float | None = None
    steps: Callable | None = None
    ranges: tuple[tuple[float, float] | None, ...] = ()


def _silu(x, round_, _):
    return x * round_[0](ops.sigmoid(x))


def _log_share(x, round_):
    """log(sigmoid(|x|)), which is relu less softplus."""
    share = round_[0](ops.sigmoid(x))
    return round_[3](ops.log(round_[2](ops.maximum(share, round_[1](1.0 - share)))))


def _softplus(x, round_, _):
    above = round_[5](x - round_[4](ops.minimum(x, 0.0)))  # relu, which TensorFlow would make of maximum too
    return above - _log_share(x, round_)


def _log_sigmoid(x, round_, _):
    return round_[4](ops.minimum(x, 0.0)) + _log_share(x, round_)


def _mish(x, round_, _):
    """-x tanh(log(sigmoid(-x))), which is mish."""
    negative = round_[0](x * -1.0)
    share = ops.maximum(round_[1](ops.sigmoid(negative)), 1 / 256)  # 0 has no logarithm
    return negative * round_[4](ops.tanh(round_[3](ops.log(round_[2](share)))))


def _exponential_linear(x, round_, options):
    """elu, celu and selu: `scale * x` above 0, `scale * alpha * (exp(x / width) - 1)` below."""
    scale, alpha, width = options
    negative = round_[0](ops.minimum(x, 0.0))
    above, below = round_[4](x - negative), negative
    if width != 1:
        below = round_[1](below * (1 / width))
    below = round_[3](round_[2](ops.exp(below)) - 1.0)
    if scale != 1:
        above = round_[5](above * scale)
    if scale * alpha != 1:
        below = round_[6](below * (scale * alpha))
    return above + below


def _hard_sigmoid(x, round_, _):
    return round_[0](ops.relu6(x + 3.0)) * (1 / 6)


def _relu_to(x, round_, options):
    return ops.relu(x)  # its range ends where it does


SHARE_RANGES = (UNIT, UNIT, UNIT, (-0.7, 0.0))
ACTIVATIONS = {
    "linear": Activation(),
    "relu": Activation(fused=True),
    "relu6": Activation(fused=True),
    "relu_to": Activation(steps=_relu_to),
    "sigmoid": Activation(range=UNIT, low=-8.0, high=8.0),
    "softmax": Activation(range=UNIT),
    "tanh": Activation(range=SYMMETRIC, low=-4.0, high=4.0),
    "silu": Activation(low=-8.0, steps=_silu, ranges=(UNIT,)),
    "mish": Activation(low=-8.0, steps=_mish, ranges=(FREE, UNIT, UNIT, (-4.0, 0.0), SYMMETRIC)),
    "softplus": Activation(low=-8.0, steps=_softplus, ranges=(*SHARE_RANGES, FREE, FREE)),
    "log_sigmoid": Activation(high=8.0, steps=_log_sigmoid, ranges=(*SHARE_RANGES, FREE)),
    "hard_silu": Activation(low=-3.0),
    "hard_sigmoid": Activation(low=-3.0, high=3.0, steps=_hard_sigmoid, ranges=((0.0, 6.0),)),
    "elu": Activation(low=-8.0, steps=_exponential_linear, ranges=(FREE, FREE, (0.0, 1.0), *[FREE] * 4)),
    "gelu": Activation(low=-4.0),
}
ACTIVATIONS["celu"] = ACTIVATIONS["selu"] = ACTIVATIONS["elu"]
SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha


@register
class SteppedActivation(layers.Layer):
    """An activation as an int8 file computes it, in several steps.

    Args:
        activation: its name in `ACTIVATIONS`.
        options: its numbers.
        moves: whether the steps' ranges still follow the values.
    """

    def __init__(self, activation, options=(), moves=True, **kwargs):
        super().__init__(**kwargs)
        self.activation_name, self.options = activation, tuple(options)
        how = dict(moves=moves, dtype=self.dtype_policy)
        ranges = enumerate(ACTIVATIONS[activation].ranges)
        self.quantizers = [FakeQuant(range_, name=f"step{i}", **how) for i, range_ in ranges]

    def build(self, input_shape):
        for quantizer in self.quantizers:
            quantizer.build(input_shape)
            quantizer.built = True

    def call(self, x, training=False):
        return self.compute(x, [lambda y, q=q: q(y, training=training) for q in self.quantizers])

    def compute(self, x, quantizers):
        """Compute with other quantizers, functions of a tensor."""
        return ACTIVATIONS[self.activation_name].steps(x, quantizers, self.options)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"activation": self.activation_name, "options": self.options}
        return {**super().get_config(), **own, "moves": all(quantizer.moves for quantizer in self.quantizers)}


def activation_of(operation):
    """Return the activation that an operation is or ends in: its name in `ACTIVATIONS` or "linear", and its options."""
    kind = type(operation).__name__
    if isinstance(operation, SteppedActivation):
        return operation.activation_name, operation.options
    if kind == "ReLU":
        if operation.negative_slope or operation.threshold:
            return "linear", ()
        name = {None: "relu", 6.0: "relu6"}.get(operation.max_value, "relu_to")
        return name, (operation.max_value,) if name == "relu_to" else ()
    if kind.lower() in ("elu", "celu"):
        return "elu", (1.0, float(operation.alpha), float(operation.alpha) if kind == "Celu" else 1.0)
    if isinstance(operation, keras.Layer):
        known = type(operation).__module__.startswith(("keras.", "cspkeras."))  # a user's may do more than activate
        activation = getattr(operation, "activation", None) if known else None
        name = "softmax" if kind == "Softmax" else getattr(activation, "__name__", "linear")
    else:
        name = OPERATIONS.get(kind, "linear")
    options = {"elu": (1.0, 1.0, 1.0), "celu": (1.0, 1.0, 1.0), "selu": (*SELU, 1.0)}
    return (name, options.get(name, ())) if name in ACTIVATIONS else ("linear", ())


# The operations of keras.ops, by the names of their classes.
OPERATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
    "Silu": "silu",
    "Softplus": "softplus",
    "LogSigmoid": "log_sigmoid",
    "HardSilu": "hard_silu",
    "HardSigmoid": "hard_sigmoid",
    "Selu": "selu",
    "Gelu": "gelu",
}
