"""A call of each layer, operation and activation that quantization knows, or has no row for, on one small map."""

import keras
import numpy as np
from keras import layers, ops

from cspkeras.detection.heads import RawHead
from cspkeras.layers import BatchNormalization, ChannelSlice, GroupedConv2D, Maxout, Upsample

IMAGES = np.random.default_rng(0).uniform(0, 1, (12, 16, 16, 3)).astype("float32")
MAP = (8, 8, 8)  # what each call takes: values of both signs


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """A user's layer that is made of others."""

    def __init__(self, **options):
        super().__init__(**options)
        self.convolution, self.norm = layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization()

    def call(self, x):
        return ops.relu(self.norm(self.convolution(x))) + x


@keras.saving.register_keras_serializable("tests")
class Weighted(layers.Layer):
    """A user's layer with weights of its own."""

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=shape[-1:], initializer="random_normal")

    def call(self, x):
        return x * self.factor


def pooled_and_padded(x):
    """A shortcut to more channels, beside a convolution."""
    x = layers.MaxPooling2D()(x)
    return layers.Add()([layers.Conv2D(12, 1)(x), ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, 4)))])


def known():
    """New layers, by name: those of `KINDS` but for those of training alone, each a function of a map."""
    row = layers.Reshape((-1, MAP[-1]))
    return {
        "conv": layers.Conv2D(6, 3, activation="relu"),
        "conv_grouped": GroupedConv2D(6, 3, groups=2),
        "conv_dilated": layers.Conv2D(6, 3, dilation_rate=2, padding="same"),
        "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2),
        "transposed": layers.Conv2DTranspose(6, 3, strides=2, padding="same"),
        "transposed_relu": layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu"),
        "transposed_relu_no_bias": layers.Conv2DTranspose(6, 3, activation="relu", use_bias=False),
        "transposed_norm": chain(layers.Conv2DTranspose(6, 3, strides=2), layers.BatchNormalization(), layers.ReLU()),
        "dense": chain(layers.Flatten(), layers.Dense(5)),
        "dense_of_a_map": layers.Dense(5, activation="relu"),
        "dense_norm": chain(layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.ReLU()),
        "norm": layers.BatchNormalization(),
        "norm_ours": chain(layers.Conv2D(6, 3), BatchNormalization()),
        "norm_before": chain(layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(6, 3)),
        "norm_after_relu": chain(layers.ReLU(), layers.BatchNormalization(), layers.Conv2D(6, 3)),
        "norm_of_vectors": chain(layers.GlobalAveragePooling2D(), layers.BatchNormalization(), layers.Dense(3)),
        "rescaling": layers.Rescaling(2.0, -1.0),
        "rescaling_channels": layers.Rescaling([0.1, 1, 2, 3, 4, 5, 6, 70], [1] * 8),
        "normalization": layers.Normalization(mean=[0.5] * 8, variance=[0.1] * 8),
        "normalization_pixels": layers.Normalization((1, 2, 3), mean=np.full(MAP, 0.5), variance=np.full(MAP, 2.0)),
        "normalization_rows": layers.Normalization(1, mean=np.arange(8.0), variance=np.arange(1.0, 9)),
        "separable": layers.SeparableConv2D(6, 3, activation="relu"),
        "conv1d": chain(row, layers.Conv1D(6, 3, activation="silu")),
        "conv1d_causal": chain(row, layers.Conv1D(6, 3, padding="causal", dilation_rate=2)),
        "depthwise1d": chain(row, layers.DepthwiseConv1D(3)),
        "separable1d": chain(row, layers.SeparableConv1D(6, 3, activation="relu")),
        "upsampling": layers.UpSampling2D(2),
        "upsampling_bilinear": layers.UpSampling2D(2, interpolation="bilinear"),
        "upsampling_2_3": layers.UpSampling2D((2, 3)),
        "upsample": Upsample(),
        "spectral": layers.SpectralNormalization(layers.Conv2D(6, 3)),
        "identity": layers.Identity(),
        "max_pooling": layers.MaxPooling2D(),
        "max_pooling1d": chain(row, layers.MaxPooling1D()),
        "max_pooling_all": layers.GlobalMaxPooling2D(),
        "average_of_three": lambda x: layers.Average()([x, layers.Conv2D(8, 1)(x), layers.Conv2D(8, 1)(x)]),
        "average": lambda x: layers.Average()([x, layers.Conv2D(8, 1)(x)]),
        "average_pooling": layers.AveragePooling2D(2),
        "average_pooling1d": chain(row, layers.AveragePooling1D(2)),
        "padding": layers.ZeroPadding2D(),
        "padding1d": chain(row, layers.ZeroPadding1D()),
        "cropping": layers.Cropping2D(),
        "cropping1d": chain(row, layers.Cropping1D()),
        "reshape": layers.Reshape((4, 16, 8)),
        "flatten": layers.Flatten(),
        "permute": layers.Permute((2, 1, 3)),
        "repeat": chain(layers.GlobalMaxPooling2D(), layers.RepeatVector(3)),
        "slice": ChannelSlice(1, 3),
        "maxout": Maxout(2),
        "raw_head": lambda x: RawHead(1)([layers.Conv2D(4, 1)(x), layers.Conv2D(3, 1)(x)]),
        "concatenate": lambda x: layers.Concatenate()([x, layers.Conv2D(2, 1)(x)]),
        "leaky": chain(layers.Conv2D(6, 1), layers.LeakyReLU()),
        "add": lambda x: layers.ReLU()(layers.Add()([x, layers.Conv2D(8, 1)(x)])),
        "multiply": lambda x: layers.Multiply()([x, layers.Conv2D(8, 1)(x)]),
    }


def others():
    """New functions of a map, by name: operations, layers without a row, and those of users; all have integers."""
    row = layers.Reshape((-1, MAP[-1]))
    return {
        "plus_3": lambda x: x + 3.0,
        "times_sixth": lambda x: x * (1 / 6),
        "over_6": lambda x: x / 6,
        "from_2": lambda x: 2 - x,
        "minus": lambda x: -x,
        "squared": lambda x: x**2,
        "square": chain(layers.Conv2D(8, 1), ops.square),
        "split": lambda x: layers.Add()(ops.split(x, 2, axis=-1)),
        "first_channels": lambda x: x[..., :4],
        "expanded": lambda x: ops.expand_dims(x, 1),
        "squeezed": lambda x: ops.squeeze(x[:, :1], 1),
        "moved": lambda x: ops.moveaxis(x, -1, 1),
        "swapped": lambda x: ops.swapaxes(x, 1, 2),
        "turned": lambda x: ops.transpose(x, (0, 2, 1, 3)),
        "repeated": lambda x: ops.repeat(x, 2, axis=1),
        "tiled": lambda x: ops.tile(x, (1, 2, 1, 1)),
        "reshaped": lambda x: ops.reshape(x, (-1, 64, 8)),
        "padded": lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 4))),
        "padded_beyond": lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 4)), constant_values=9.0),
        "pooled_and_padded": pooled_and_padded,
        "stopped": ops.stop_gradient,
        "joined": lambda x: ops.concatenate([x, layers.Conv2D(2, 1)(x)], axis=-1),
        "summed": lambda x: ops.add(x, layers.Conv2D(8, 1)(x)),
        "multiplied": lambda x: ops.multiply(x, layers.Conv2D(8, 1)(x)),
        "divided": lambda x: ops.divide(x, 6.0),
        "stack": lambda x: ops.stack([x, ops.flip(x, 1)], axis=1),
        "mean": lambda x: ops.mean(x, (1, 2)),
        "maximum": lambda x: layers.Maximum()([x, layers.Conv2D(8, 1)(x)]),
        "add_three": lambda x: layers.Add()([x, layers.Conv2D(8, 1)(x), layers.Conv2D(8, 3, padding="same")(x)]),
        "maximum_of_three": lambda x: layers.Maximum()([x, layers.Conv2D(8, 1)(x), layers.Conv2D(8, 1)(x)]),
        "subtract": lambda x: layers.Subtract()([x, layers.Conv2D(8, 1)(x)]),
        "average_pooling_all": layers.GlobalAveragePooling2D(),
        "time_distributed": chain(row, layers.TimeDistributed(layers.Dense(4))),
        "einsum": layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 7), bias_axes="e"),
        "block": Block(),
        "weighted": Weighted(),
        "attention_of_ops": lambda x: ops.dot_product_attention(x, x, x),
        "attention": lambda x: (lambda y: layers.MultiHeadAttention(2, 4)(y, y))(row(x)),
    }


def floating():
    """New functions of a map, by name, that have, by this library or by TFLite, no form in integers alone."""
    row = layers.Reshape((-1, MAP[-1]))
    return {
        "causal": lambda x: (lambda y: layers.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True))(row(x)),
        "layer_norm": layers.LayerNormalization(),
        "rms_norm": layers.RMSNormalization(),
        "group_norm": layers.GroupNormalization(2),
        "lambda": layers.Lambda(lambda x: x * 2 - 1),
        "softsign": layers.Activation("softsign"),
        "squareplus": layers.Activation("squareplus"),
    }


def gelu_tanh(x):
    """A function of a user's."""
    return keras.activations.gelu(x, approximate=True)


def activations():
    """New functions of a map, by name: activations of a convolution of their own."""
    simple = (
        "celu elu exponential gelu hard_sigmoid hard_silu log_sigmoid mish relu relu6 selu sigmoid silu softmax"
        " softplus tanh"
    )
    functions = {
        **{name: layers.Activation(name) for name in simple.split()},
        **{f"{name}_of_ops": getattr(ops, name) for name in simple.split() if hasattr(ops, name)},
        "elu_half": layers.ELU(0.5),
        "celu_2": lambda x: ops.celu(x, 2.0),
        "gelu_tanh": layers.Activation(gelu_tanh),
        "relu_to_1": layers.ReLU(1.0),
        "relu_slope": layers.ReLU(negative_slope=0.2),
        "leaky_relu": layers.LeakyReLU(0.3),
        "leaky_relu_activation": layers.Activation("leaky_relu"),
        "prelu": layers.PReLU("uniform", shared_axes=(1, 2)),
    }
    return {name: chain(layers.Conv2D(MAP[-1], 1), function) for name, function in functions.items()}


def rare():
    """New functions of a map, by name: all activations of this Keras that are in no other table."""
    others_ = {*activations(), *floating(), "linear", "threshold", "serialize", "deserialize", "get"}
    names = [name for name in dir(keras.activations) if not name.startswith("_") and name not in others_]
    return {name: chain(layers.Conv2D(MAP[-1], 1), layers.Activation(name)) for name in names}


def chain(*layers_):
    """A function that calls layers one after another."""

    def call(x):
        for layer in layers_:
            x = layer(x)
        return x

    return call


def model_of(table):
    """A model of one map: each function that `table`, a function, gives by name makes an output of that name of it."""
    keras.utils.set_random_seed(0)  # before the layers are made
    calls = table()
    image = keras.Input(IMAGES.shape[1:], name="image")
    x = layers.Conv2D(MAP[-1], 3, strides=2, padding="same", name="map")(image)
    outputs = {}
    for name, call in calls.items():
        for i, y in enumerate(keras.tree.flatten(call(x))):
            outputs[f"{name}_{i}" if i else name] = y
    return lively(keras.Model(image, outputs, name="table"))


def lively(model):
    """Give a model's norms and biases numbers that are not those of the start, so that a mistake in them shows."""
    rng = np.random.default_rng(1)
    spreads = {"gamma": (1.0, 0.3), "beta": (0.0, 0.3), "bias": (0.0, 0.3), "moving_mean": (0.0, 0.2)}
    for weight in model.weights:
        if weight.name == "moving_variance":
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in spreads:
            weight.assign(rng.normal(*spreads[weight.name], weight.shape))
    return model


def noise(found, wanted):
    """The root mean square of the difference over the standard deviation of what is wanted."""
    found, wanted = (np.asarray(x, "float64") for x in (found, wanted))
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std())
