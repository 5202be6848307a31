"""The grouped convolution, fast on a CPU as well."""

import functools

import keras
from keras import layers


@keras.saving.register_keras_serializable("cspkeras")
class GroupedConv2D(layers.Conv2D):
    """`keras.layers.Conv2D`, arguments, weights and numbers alike, that runs natively on TensorFlow's CPU.

    Keras compiles each grouped convolution by XLA there, which makes it a hundred times slower. TensorFlow itself takes
    a kernel with fewer input channels than its input has as one of several groups, forward and backward.
    """

    def convolution_op(self, inputs, kernel):
        ours = keras.config.backend() == "tensorflow" and self.data_format == "channels_last"
        if not (ours and _differentiable(keras.backend.standardize_dtype(inputs.dtype))):
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        return tf.nn.conv2d(inputs, kernel, self.strides, self.padding.upper(), dilations=self.dilation_rate)


@functools.cache
def _differentiable(dtype):
    """Whether TensorFlow has the gradient here, found by trying: a GPU's has, a CPU's by oneDNN and not in float16."""
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
