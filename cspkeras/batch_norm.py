"""Batch-norm, fused in training on TensorFlow."""

import keras
from keras import layers

FUSED = ("float32", "float16", "bfloat16")


@keras.saving.register_keras_serializable("cspkeras")
class BatchNormalization(layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, arguments, weights and numbers alike, in one operation on TensorFlow.

    Keras writes it as a dozen operations, each of which reads and writes the whole feature map, forward and backward.
    """

    def call(self, inputs, training=None, mask=None):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        plain = mask is None and self.scale and self.center and not (self.synchronized or self.renorm)
        last = len(inputs.shape) == 4 and self.axis in (-1, 3)
        tensorflow = keras.config.backend() == "tensorflow" and not isinstance(inputs, keras.KerasTensor)
        if not (training and self.trainable and plain and last and tensorflow and dtype in FUSED):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma.value, offset=self.beta.value, mean=[], variance=[], epsilon=self.epsilon
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[3], "float32")
        variance *= (count - 1) / count  # TensorFlow's is the unbiased one; for a single value it is zero
        for average, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + batch * (1 - self.momentum))
        return keras.ops.cast(outputs, self.compute_dtype)
