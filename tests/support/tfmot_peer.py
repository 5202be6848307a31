"""A second engine: a network of tf-keras, quantized by tensorflow-model-optimization's default.

It says what 8 bits of that network are worth, by code that this library has no part in.
"""

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

STEPS = 5000  # its moving averages begin at -6..6 and keep 0.999 of themselves


def network(library, side):
    """A network of convolutions, norms, ReLUs and dense layers, in a library: `keras` or `tf_keras`."""
    layers = library.layers
    x = image = layers.Input((side, side, 3), name="image")
    for i, (filters, strides) in enumerate(((8, 2), (16, 1), (16, 2))):
        x = layers.Conv2D(filters, 3, strides, "same", use_bias=False, name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"norm{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    return library.Model(image, layers.Dense(5, name="logits")(x), name="peer")


def twin(model):
    """The same network of tf-keras, with the weights of one of Keras 3."""
    made = network(tf_keras, model.input_shape[1])
    made.set_weights(model.get_weights())
    return made


def quantized(model, images):
    """Quantize a network of tf-keras by the defaults, its ranges set by a batch of images; its norms stay."""
    made = tfmot.quantization.keras.quantize_model(model)
    made.trainable = False

    @tf.function
    def calibrate():
        for _ in tf.range(STEPS):
            made(images, training=True)

    calibrate()
    return made
