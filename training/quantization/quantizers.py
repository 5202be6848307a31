"""The layers of a quantization-aware model: rounding to the 256 steps of a range, and kernels rounded by channel.

XNNPACK, which runs int8 files on phones' CPUs, rescales by multipliers of 8 fractional bits in two places: between the
scales of a leaky ReLU's input and output, and where a concatenation's inputs have other scales than its output. Rounded
multipliers would make the CPU differ from what was trained, and from the GPU, so scales are chosen that need none:
tensors that are concatenated share one `FakeQuant`, and a leaky ReLU's input has a scale of `k / 256` of its output's,
k a multiple of ten, since the slope of 0.1 must come out even too.
"""

import math

import keras
import numpy as np
from keras import ops
from keras.quantizers import fake_quant_with_min_max_vars as fake_quant

DECAY = 0.95  # of the moving averages: a slower one wants a thousand steps
LEAKY_UNIT = 10 / 256
TAIL = 1e-4  # share of a tensor's values, at each end, that may be clipped: a few far ones would coarsen all others
NARROWEST = 1e-6  # range: of a tensor that is 0 throughout the scale would be 0, and no number divides by that
SAMPLE = 1 << 16  # values by which the tail of a large tensor is found
UNIT, SYMMETRIC = (0.0, 255 / 256), (-1.0, 127 / 128)  # the fixed ranges that int8 kernels give sigmoid and tanh
register = keras.saving.register_keras_serializable("cspkeras")


def extremes(x, tail, weighs=False):
    """Return a tensor's smallest and largest value but for `tail` of them at each end, with zero between them.

    An int8 range must hold zero. Where `weighs`, all values are within but where clipping costs the tensor less than
    the finer steps for all others save it.
    """
    if tail and not weighs:
        return _but_for(x, tail)
    low, high = ops.minimum(ops.min(x), 0.0), ops.maximum(ops.max(x), 0.0)
    if not tail:
        return low, high
    least, most = _but_for(x, tail)
    clipping = ops.mean(ops.square(x - ops.clip(x, least, most)))
    worth = clipping + _rounding(least, most) < _rounding(low, high)
    return ops.where(worth, least, low), ops.where(worth, most, high)


def _rounding(low, high):
    """The mean squared error of rounding to 256 steps."""
    return ops.square((high - low) / 255) / 12


def _but_for(x, tail):
    """A tensor's smallest and largest value but for `tail` of them at each end, with zero between them."""
    if len(x.shape) == 4 and None not in x.shape[1:]:  # of a map some pixels, all of their channels
        stride = math.ceil(math.sqrt(max(1, math.prod(x.shape[1:]) * (x.shape[0] or 1) / SAMPLE)))
        x = x[:, ::stride, ::stride]
    flat = ops.reshape(x, (-1,))
    size = flat.shape[0]
    if size is None:
        size = ops.shape(flat)[0]
        count = 1 + ops.cast(ops.cast(size, "float32") * tail, "int32")
    else:
        count = 1 + int(size * tail)
    least, most = -ops.top_k(-flat, count)[0][-1], ops.top_k(flat, count)[0][-1]
    return ops.minimum(least, 0.0), ops.maximum(most, 0.0)


@ops.custom_gradient
def rounded(x, low, high):
    """Round `x` to 256 steps from `low` to `high`.

    The usual gradient for the two ends counts only the values that are clipped. This one also counts what the width of
    a step costs all others, as learned step sizes have it (arXiv 1902.08153).
    """
    y = fake_quant(x, low, high)

    def gradient(*args, upstream=None):
        slopes = args[0] if upstream is None else upstream
        below, above = x < low, x > high
        through = ops.where(ops.logical_or(below, above), 0.0, slopes)
        width = ops.sum(through * (y - x)) / (high - low)
        clipped_low, clipped_high = (ops.sum(ops.where(out, slopes, 0.0)) for out in (below, above))
        return through, clipped_low - width, clipped_high + width

    return y, gradient


@register
class FakeQuant(keras.layers.Layer):
    """Round a tensor, or several that share one scale, to the 256 steps of a range that follows what it sees.

    Outside of training and calibration, and in a layer whose `trainable` is off, it stays where it is.

    Args:
        fixed: (low, high) of a range that stays; None for one that follows the values.
        leaky: number of leaky ReLUs whose inputs, each with a range of its own, this layer also rounds, to steps that
            go evenly into those of their output.
        moves: whether the range still follows the values.

    Attributes:
        calibrates: whether the range widens to what it sees, outside of training too.
        weighs: whether it then leaves out values at its ends only where that is worth it, see `extremes`.
    """

    def __init__(self, fixed=None, leaky=0, moves=True, **kwargs):
        super().__init__(**kwargs)
        self.fixed, self.leaky, self.moves = fixed and tuple(fixed), leaky, moves
        self.calibrates = self.weighs = False

    def build(self, input_shape):
        self._ranges = [] if self.fixed else [self._range(part) for part in ("", *map(str, range(self.leaky)))]

    def _range(self, part):
        def weight(name, value):
            initializer = keras.initializers.Constant(value)
            return self.add_weight(name=f"{name}{part}", shape=(), initializer=initializer, trainable=False)

        return weight("low", -6.0), weight("high", 6.0), weight("seen", 0.0)

    @property
    def ends(self):
        """The variables at which the ranges that move begin and end."""
        return [end for low, high, _ in self._ranges for end in (low, high)] if self.moves else []

    @property
    def seen(self):
        """Whether the range has met values, or needs none."""
        return bool(self.fixed) or float(self._ranges[0][2]) > 0

    def forget(self):
        """Begin the ranges anew with the next values."""
        for *_, seen in () if self.fixed else self._ranges:
            seen.assign(0.0)

    def call(self, x, training=False, leads=True, before=None, low=None, high=None, tail=TAIL):
        """Round a tensor.

        Args:
            x: the tensor.
            training: whether the range follows it, as a moving average.
            leads: whether it moves the range; of the tensors that share one, only that which holds all.
            before: None for an output; the number of the leaky ReLU whose input this is.
            low: the smallest value that matters to what alone follows; None for no limit.
            high: the largest.
            tail: share of the values, at each end, that the range may leave out.
        """
        if self.fixed:
            return fake_quant(x, *self.fixed)
        own = self._ranges[0 if before is None else before + 1]
        least = most = None
        if self.calibrates or (training and self.moves and self.trainable):
            least, most = extremes(x, tail, self.weighs)
            if leads:
                self._follow(own, least, most, tail * math.prod(x.shape[1:]) if None not in x.shape[1:] else 1)
        ends = ops.convert_to_tensor(own[0]), ops.convert_to_tensor(own[1])
        if least is not None and not leads:
            # Clipped here, a value would never reach the one that leads, and the range could not grow.
            ends = ops.minimum(ends[0], least), ops.maximum(ends[1], most)
        return rounded(x, *self._steps(*ends, before, low, high, ops))

    def _follow(self, own, least, most, tail_of_an_image):
        low, high, seen = own
        # Where an image's tail is less than one value, the images' mean end is not the end of all their values.
        if self.calibrates and (self.weighs or tail_of_an_image < 1):
            begun = ops.minimum(seen, 1.0)
            low.assign(ops.minimum(low * begun, least))
            high.assign(ops.maximum(high * begun, most))
        else:
            keep = ops.minimum(seen / (seen + 1), DECAY)  # of the first batches the mean
            low.assign(low * keep + least * (1 - keep))
            high.assign(high * keep + most * (1 - keep))
        seen.assign(seen + 1.0)

    def _steps(self, low, high, before, least, most, math):
        """The ends of the range that is rounded to, as `math`'s numbers: `keras.ops` or NumPy."""
        if least is not None:
            low = math.maximum(low, least)
        if most is not None:
            high = math.minimum(high, most)
        high = math.maximum(high, low + NARROWEST)
        if before is not None:
            after_low, after_high = self._ranges[0][:2]
            if math is np:
                after_low, after_high = float(after_low), float(after_high)
            unit = math.maximum(after_high - after_low, NARROWEST) * LEAKY_UNIT
            wider = math.ceil((high - low) / unit) * unit / (high - low)
            low, high = low * wider, high * wider
        return low, high

    def steps(self, before=None, low=None, high=None, **others):
        """Return the ends of the range, as numbers; the arguments are those of `call`."""
        if self.fixed:
            return self.fixed
        own = self._ranges[0 if before is None else before + 1]
        return tuple(map(float, self._steps(float(own[0]), float(own[1]), before, low, high, np)))

    def compute_output_shape(self, input_shape, **others):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "fixed": self.fixed, "leaky": self.leaky, "moves": self.moves}


@register
class QuantizedLayer(keras.layers.Wrapper):
    """A layer whose kernel is rounded to 255 steps around zero.

    Args:
        layer: the layer; its activation is linear, or fused with it in an int8 file.
        kernel: the name of its kernel.
        channel_axes: the kernel's axes that number the output channels, each of which gets a scale of its own.
    """

    def __init__(self, layer, kernel="kernel", channel_axes=(-1,), **kwargs):
        kwargs.setdefault("name", layer.name)
        super().__init__(layer, **kwargs)
        self.kernel, self.channel_axes = kernel, tuple(channel_axes)

    def call(self, x):
        kernel = kernel_of(self)
        values = [(v, ops.convert_to_tensor(v)) for v in self.layer.variables]
        values = [(v, round_kernel(value, self.channel_axes) if v is kernel else value) for v, value in values]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(x)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "kernel": self.kernel, "channel_axes": self.channel_axes}


def kernel_of(quantized):
    """Return the variable that is the kernel of a `QuantizedLayer`."""
    return next(v for v in quantized.layer.variables if v.name == quantized.kernel)


def round_kernel(kernel, channel_axes):
    """Round a kernel to 255 steps around zero by channel; `channel_axes` are the axes that number the channels."""
    axes = [axis % len(kernel.shape) for axis in channel_axes]
    order = [axis for axis in range(len(kernel.shape)) if axis not in axes] + axes
    moved = ops.transpose(kernel, order)
    flat = ops.reshape(moved, (-1, math.prod(kernel.shape[axis] for axis in axes)))
    end = ops.stop_gradient(ops.maximum(ops.max(ops.abs(flat), axis=0), NARROWEST))
    flat = fake_quant(flat, -end, end, narrow_range=True, axis=-1)
    return ops.transpose(ops.reshape(flat, moved.shape), np.argsort(order).tolist())
