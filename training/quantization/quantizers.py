"""What tfmot's wrapper asks of a layer: what of it is quantized, and how.

XNNPACK, which runs int8 files on phones' CPUs, rescales by multipliers of 8 fractional bits in two places: between the
scales of a leaky ReLU's input and output, and where a concatenation's inputs have other scales than its output. Rounded
multipliers would make the CPU differ from what was trained, and from the GPU, so scales are chosen that need none:
tensors that are concatenated share one `Range`, and a leaky ReLU's input has a scale of `k / 256` of its output's, k a
multiple of ten, since the slope of 0.1 must come out even too.
"""

import math

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from .kinds import UNLIMITED

DECAY = 0.95  # of the moving averages; tfmot's 0.999 wants a thousand steps
LEAKY_UNIT = 10 / 256
TAIL = 1e-4  # share of a tensor's values, at each end, that may be clipped: a few far ones would coarsen all others
NARROWEST = 1e-6  # range: of a tensor that is 0 throughout the scale would be 0, and no number divides by that
SAMPLE = 1 << 16  # values by which the tail of a large tensor is found

_tfmot = tfmot.quantization.keras


class Range:
    """The smallest and largest value of a tensor, or of several that share one scale; a moving average.

    Args:
        fixed: None, or the absolute value at which the range begins and ends for good.

    Attributes:
        moves: whether it still follows what it sees.
        widens: whether it may hold all that it has seen, instead of following the mean.
    """

    def __init__(self, fixed=None):
        self.fixed, self.moves, self.widens, self._variables = fixed, not fixed, False, None

    def variables(self, layer):
        """Return (smallest, largest, number of batches seen); they are made in the layer that asks first."""
        if self._variables is None:
            name, end = f"{layer.name}_range", self.fixed or 6.0
            self._variables = [
                layer.add_weight(
                    f"{name}_{part}", shape=(), trainable=False, initializer=tf_keras.initializers.Constant(v)
                )
                for part, v in (("min", -end), ("max", end), ("seen", 0.0))
            ]
        return self._variables


@tf.function  # one graph for all tensors of a shape: a model has hundreds
def extremes(x, tail):
    """Return a tensor's smallest and largest value but for `tail` of them at each end, with zero between them.

    An int8 range must hold zero.
    """
    if not tail:
        return tf.minimum(tf.reduce_min(x), 0.0), tf.maximum(tf.reduce_max(x), 0.0)
    if len(x.shape) == 4:  # of a map some pixels, all of their channels
        stride = tf.cast(tf.math.ceil(tf.sqrt(tf.size(x) / SAMPLE)), tf.int32)
        x = x[:, ::stride, ::stride]
    flat = tf.reshape(x, [-1])
    count = 1 + tf.cast(tf.cast(tf.size(flat), tf.float32) * tail, tf.int32)
    return tf.minimum(-tf.math.top_k(-flat, count)[0][-1], 0.0), tf.maximum(tf.math.top_k(flat, count)[0][-1], 0.0)


@tf.custom_gradient
def rounded(x, low, high):
    """Round `x` to 256 steps from `low` to `high`.

    TensorFlow's own gradient for the two ends counts only the values that are clipped. This one also counts what the
    width of a step costs all others, as learned step sizes have it (arXiv 1902.08153).
    """
    y = tf.quantization.fake_quant_with_min_max_vars(x, low, high)

    def gradient(slopes):
        below, above = x < low, x > high
        through = tf.where(below | above, 0.0, slopes)
        width = tf.reduce_sum(through * (y - x)) / (high - low)
        clipped_low, clipped_high = (tf.reduce_sum(tf.where(out, slopes, 0.0)) for out in (below, above))
        return through, clipped_low - width, clipped_high + width

    return y, gradient


class RangeQuantizer(_tfmot.quantizers.Quantizer):
    """Quantize by a `Range`.

    Args:
        range_: the range.
        leads: whether this tensor's values move the range; of the tensors that share one, only that which holds all.
        leaky: the range of the leaky ReLU that alone follows, or None.
        limits: the smallest and the largest value that matter to what alone follows.
        tail: share of the values, at each end, that the range may leave out.
    """

    def __init__(self, range_, leads=True, leaky=None, limits=UNLIMITED, tail=TAIL):
        self.range, self.leads, self.leaky, self.limits, self.tail = range_, leads, leaky, limits, tail

    def build(self, tensor_shape, name, layer):
        self.range.variables(layer)
        if self.leaky:
            self.leaky.variables(layer)
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        low, high, seen = self.range.variables(None)
        moving = training and self.range.moves
        if moving:
            least, most = extremes(inputs, self.tail)
        if moving and self.leads:
            # Where an image's tail is less than one value, the images' mean end is not the end of all their values.
            if self.range.widens and self.tail * math.prod(inputs.shape[1:]) < 1:
                begun = tf.minimum(seen, 1.0)
                low.assign(tf.minimum(low * begun, least))
                high.assign(tf.maximum(high * begun, most))
            else:
                keep = tf.minimum(seen / (seen + 1), DECAY)  # of the first batches the mean
                low.assign(low * keep + least * (1 - keep))
                high.assign(high * keep + most * (1 - keep))
            seen.assign_add(1.0)
        low, high = tf.convert_to_tensor(low), tf.convert_to_tensor(high)
        if moving and not self.leads:
            # Clipped here, a value would never reach the one that leads, and the range could not grow.
            low, high = tf.minimum(low, least), tf.maximum(high, most)
        if self.limits != UNLIMITED:
            low, high = tf.maximum(low, self.limits[0]), tf.minimum(high, self.limits[1])
        high = tf.maximum(high, low + NARROWEST)
        if self.leaky:
            after_low, after_high, _ = self.leaky.variables(None)
            unit = tf.maximum(after_high - after_low, NARROWEST) * LEAKY_UNIT
            wider = tf.math.ceil((high - low) / unit) * unit / (high - low)
            low, high = low * wider, high * wider
        return rounded(inputs, low, high)

    def get_config(self):
        return {"leads": self.leads}


def unit(x):
    """Round `x` to steps of 1/256 from 0 to 255/256, as int8 kernels give sigmoid and softmax."""
    return tf.quantization.fake_quant_with_min_max_args(x, 0.0, 255 / 256)


class UnitQuantizer(_tfmot.quantizers.Quantizer):
    """Quantize by `unit`."""

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        return unit(inputs)

    def get_config(self):
        return {}


class KernelQuantizer(_tfmot.quantizers.LastValueQuantizer):
    """A scale an output channel, or one for all.

    Args:
        channel_axes: how many of the kernel's last axes number the output channels; 0: one scale for all. A depthwise
            kernel, (height, width, channels, multiplier), has two. One scale for all of them would do worse than lose
            accuracy: the norm's factor for each channel could not become part of the kernel, and the converter would
            leave the convolution in floats.
    """

    def __init__(self, channel_axes):
        super().__init__(num_bits=8, per_axis=channel_axes > 0, symmetric=True, narrow_range=True)
        self.channel_axes = channel_axes

    def build(self, tensor_shape, name, layer):
        return self._add_range_weights(layer, name, self.per_axis, self._by_channel(tensor_shape))

    def __call__(self, inputs, training, weights, **kwargs):
        kernel = tf.reshape(inputs, self._by_channel(inputs.shape))
        return tf.reshape(super().__call__(kernel, training, weights, **kwargs), inputs.shape)

    def _by_channel(self, shape):
        return (*shape[:-2], 1, shape[-2] * shape[-1]) if self.channel_axes == 2 else shape


class LayerQuantization(_tfmot.QuantizeConfig):
    """What is quantized of a layer.

    Args:
        kernel: the kernel's attribute, or None.
        channel_axes: see `KernelQuantizer`.
        output: the output's quantizer, or None.
    """

    def __init__(self, kernel=None, channel_axes=0, output=None):
        self.kernel, self.channel_axes, self.output = kernel, channel_axes, output

    def get_weights_and_quantizers(self, layer):
        return [(getattr(layer, self.kernel), KernelQuantizer(self.channel_axes))] if self.kernel else []

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernel:
            setattr(layer, self.kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [self.output] if self.output else []

    def get_config(self):
        return {"kernel": self.kernel, "channel_axes": self.channel_axes}


def output_quantizer(layer):
    """Return the quantizer of a layer's output; None where it has none, or is not wrapped by tfmot."""
    return getattr(getattr(layer, "quantize_config", None), "output", None)
