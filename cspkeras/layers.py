"""Layers that Keras does not have, or that are slow there.

`BatchNormalization` and `GroupedConv2D` are Keras' own, faster on TensorFlow; `ChannelSlice` and `Shortcut` route
feature maps as Darknet does; `Maxout` and `Upsample` are parts of necks.
"""

import functools

import keras
from keras import layers, ops

FUSED_DTYPES = ("float32", "float16", "bfloat16")


@keras.saving.register_keras_serializable("cspkeras")
class BatchNormalization(layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, with equal arguments, weights and results, in one operation on TensorFlow.

    Keras composes it of a dozen operations, each of which reads and writes the whole feature map, forward and backward.
    """

    def call(self, inputs, training=None, mask=None):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        plain = mask is None and self.scale and self.center and not (self.synchronized or self.renorm)
        last = len(inputs.shape) == 4 and self.axis in (-1, 3)
        tensorflow = keras.config.backend() == "tensorflow" and not isinstance(inputs, keras.KerasTensor)
        if not (training and self.trainable and plain and last and tensorflow and dtype in FUSED_DTYPES):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma.value, offset=self.beta.value, mean=[], variance=[], epsilon=self.epsilon
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[3], "float32")
        variance *= (count - 1) / count  # TensorFlow's is unbiased; of a single value it is zero
        for average, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + batch * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)


@keras.saving.register_keras_serializable("cspkeras")
class GroupedConv2D(layers.Conv2D):
    """`keras.layers.Conv2D`, with equal arguments, weights and results, that runs natively on TensorFlow's CPU.

    Keras compiles each grouped convolution by XLA there, which makes it a hundred times slower. TensorFlow itself
    infers the groups from a kernel with fewer channels than its input, forward and backward.
    """

    def convolution_op(self, inputs, kernel):
        ours = keras.config.backend() == "tensorflow" and self.data_format == "channels_last"
        if not (ours and _differentiable(keras.backend.standardize_dtype(inputs.dtype))):
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        return tf.nn.conv2d(inputs, kernel, self.strides, self.padding.upper(), dilations=self.dilation_rate)


@functools.cache
def _differentiable(dtype):
    """Return whether TensorFlow has the gradient here, by trying: a GPU has it, a CPU by oneDNN, not in float16."""
    import tensorflow as tf

    with tf.init_scope():
        x = tf.zeros((1, 3, 3, 4), dtype)
        try:
            tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=(3, 3, 2, 4), out_backprop=x, strides=[1, 1, 1, 1], padding="SAME"
            )
        except tf.errors.OpError:
            return False
    return True


@keras.saving.register_keras_serializable("cspkeras")
class ChannelSlice(layers.Layer):
    """The channels `start` to `stop` of a feature map.

    Args:
        start: the first channel.
        stop: the channel after the last one.
    """

    def __init__(self, start, stop, **kwargs):
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def build(self, input_shape):
        if not 0 <= self.start < self.stop <= input_shape[-1]:
            raise ValueError(
                f"channels {self.start} to {self.stop} must be among the input's. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, x):
        return x[..., self.start : self.stop]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.stop - self.start)

    def get_config(self):
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable("cspkeras")
class Shortcut(layers.Layer):
    """A residual addition `x + other`; `other` may have another number of channels or a higher resolution.

    As in Darknet: of a larger map every `strides`-th row and column is taken; if the numbers of channels differ, the
    first ones are added and further ones of `x` stay as they are. (ResNet's "option A", which needs no weights.)

    Args:
        strides: `other` is larger than `x` by this factor, in height and width.
    """

    def __init__(self, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.strides = strides

    def call(self, inputs):
        x, other = inputs
        if self.strides > 1:
            other = other[:, :: self.strides, :: self.strides]
        missing = x.shape[-1] - other.shape[-1]
        if missing > 0:
            other = ops.pad(other, ((0, 0), (0, 0), (0, 0), (0, missing)))
        return x + other[..., : x.shape[-1]]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "strides": self.strides}


@keras.saving.register_keras_serializable("cspkeras")
class Maxout(layers.Layer):
    """Cross-channel pooling (maxout): `out[g] = max over k of in[g + k * filters]`.

    The paper's section 3.3 compresses the feature pyramid by it. It is computed as the maximum of channel slices, since
    no mobile GPU accepts a reshape to five dimensions.

    Args:
        filters: output channels; the input's channels must be a multiple.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        if input_shape[-1] % self.filters:
            raise ValueError(
                f"Maxout to {self.filters} channels needs a multiple of {self.filters} as input. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, x):
        slices = [x[..., k : k + self.filters] for k in range(0, x.shape[-1], self.filters)]
        out = slices[0]
        for one in slices[1:]:
            out = ops.maximum(out, one)
        return out

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable("cspkeras")
class Upsample(layers.Layer):
    """Upsampling by a whole factor, in a form that mobile GPUs accept.

    Keras' UpSampling2D becomes a reshape and tile in five dimensions, which no GPU delegate accepts; this one becomes
    RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR.

    Args:
        size: the factor, for height and width.
        interpolation: "nearest" or "bilinear".
    """

    def __init__(self, size=2, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        self.size, self.interpolation = size, interpolation

    def call(self, x):
        return ops.custom_gradient(self._nearest)(x) if self.interpolation == "nearest" else self._resize(x)

    def _resize(self, x):
        height, width = ops.shape(x)[1:3]
        return ops.image.resize(
            x, (height * self.size, width * self.size), interpolation=self.interpolation, data_format="channels_last"
        )

    def _nearest(self, x):
        """Return the resized map and its gradient, which XLA on TensorFlow lacks: the sum over each pixel's copies."""

        def gradient(upstream):
            mean = ops.average_pool(upstream, self.size, strides=self.size, data_format="channels_last")
            return mean * self.size**2

        return self._resize(x), gradient

    def compute_output_shape(self, input_shape):
        n, h, w, c = input_shape
        return (n, h and h * self.size, w and w * self.size, c)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "interpolation": self.interpolation}
