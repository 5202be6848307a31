"""What tfmot's wrapper asks of a layer: what of it is quantized, and how.

XNNPACK, which runs int8 files on phones' CPUs, rescales by multipliers of 8 fractional bits in two places: between the
scales of a leaky ReLU's input and output, and where a concatenation's inputs have other scales than its output. Rounded
multipliers would make the CPU differ from what was trained, and from the GPU, so scales are chosen that need none:
tensors that are concatenated share one `Range`, and a leaky ReLU's input has a scale of `k / 256` of its output's, k a
multiple of ten, since the slope of 0.1 must come out even too.
"""

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

DECAY = 0.95  # of the moving averages; tfmot's 0.999 wants a thousand steps
LEAKY_UNIT = 10 / 256

_tfmot = tfmot.quantization.keras


class Range:
    """The smallest and largest value of a tensor, or of several that share one scale; a moving average."""

    def __init__(self):
        self._variables = None

    def variables(self, layer):
        """(smallest, largest, whether any batch was seen); made in the layer that asks first."""
        if self._variables is None:
            name = f"{layer.name}_range"
            self._variables = [
                layer.add_weight(
                    f"{name}_{part}", shape=(), trainable=False, initializer=tf_keras.initializers.Constant(v)
                )
                for part, v in (("min", -6.0), ("max", 6.0), ("seen", 0.0))
            ]
        return self._variables


class RangeQuantizer(_tfmot.quantizers.Quantizer):
    """Quantize by a `Range`.

    Args:
        range_: the range.
        leads: whether this tensor's values move the range; of tensors that share one, the one that holds them all.
        leaky: the range of the leaky ReLU that alone follows, or None.
    """

    def __init__(self, range_, leads=True, leaky=None):
        self.range, self.leads, self.leaky = range_, leads, leaky

    def build(self, tensor_shape, name, layer):
        self.range.variables(layer)
        if self.leaky:
            self.leaky.variables(layer)
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        low, high, seen = self.range.variables(None)
        if training and self.leads:
            keep = DECAY * seen  # the first batch sets the range
            # An int8 range must hold zero.
            low.assign(low * keep + tf.minimum(tf.reduce_min(inputs), 0.0) * (1 - keep))
            high.assign(high * keep + tf.maximum(tf.reduce_max(inputs), 0.0) * (1 - keep))
            seen.assign(1.0)
        low, high = tf.convert_to_tensor(low), tf.convert_to_tensor(high)
        if self.leaky:
            after_low, after_high, _ = self.leaky.variables(None)
            unit = (after_high - after_low) * LEAKY_UNIT
            wider = tf.math.ceil((high - low) / unit) * unit / (high - low)
            low, high = low * wider, high * wider
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def get_config(self):
        return {"leads": self.leads}


class UnitQuantizer(_tfmot.quantizers.Quantizer):
    """The range 0 to 255/256, which int8 kernels give sigmoid and softmax."""

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        return tf.quantization.fake_quant_with_min_max_args(inputs, 0.0, 255 / 256)

    def get_config(self):
        return {}


class KernelQuantizer(_tfmot.quantizers.LastValueQuantizer):
    """A scale a channel for convolutions; one scale for the kernels whose last axis is not the output channel."""

    def __init__(self, per_channel):
        super().__init__(num_bits=8, per_axis=per_channel, symmetric=True, narrow_range=True)

    def build(self, tensor_shape, name, layer):
        return self._add_range_weights(layer, name, self.per_axis, tensor_shape)


class LayerQuantization(_tfmot.QuantizeConfig):
    """What is quantized of a layer.

    Args:
        kernel: the kernel's attribute, or None.
        output: the output's quantizer, or None.
    """

    def __init__(self, kernel=None, output=None):
        self.kernel, self.output = kernel, output

    def get_weights_and_quantizers(self, layer):
        if not self.kernel:
            return []
        # A depthwise convolution is a Conv2D too, but the last axis of its kernel is not the output channel.
        per_channel = self.kernel == "kernel" and isinstance(layer, tf_keras.layers.Conv2D)
        return [(getattr(layer, self.kernel), KernelQuantizer(per_channel))]

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
        return {"kernel": self.kernel}
