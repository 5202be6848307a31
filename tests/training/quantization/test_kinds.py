"""Every layer class that quantization-aware training knows, in a model of its own."""

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.detection.heads import RawHead
from cspkeras.layers import BatchNormalization, ChannelSlice, GroupedConv2D, Maxout, Upsample
from cspkeras.training.quantization.aware import calibrate, quantize_aware
from cspkeras.training.quantization.flattening import flattened
from cspkeras.training.quantization.kinds import ACTIVATIONS, KINDS
from cspkeras.training.quantization.translation import translate

IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 4)).astype("float32")
CALLS = {  # {class: a function of an image (8, 8, 4) that calls a layer of the class}
    layers.Conv2D: layers.Conv2D(6, 3),
    GroupedConv2D: GroupedConv2D(6, 3, groups=2),
    layers.DepthwiseConv2D: layers.DepthwiseConv2D(3, depth_multiplier=2),
    layers.Conv2DTranspose: layers.Conv2DTranspose(6, 2, strides=2),
    layers.Dense: layers.Dense(5),
    layers.BatchNormalization: layers.BatchNormalization(),
    BatchNormalization: BatchNormalization(),
    layers.SeparableConv2D: layers.SeparableConv2D(6, 3),
    layers.Normalization: layers.Normalization(mean=[0.5] * 4, variance=[0.1] * 4),
    layers.UpSampling2D: layers.UpSampling2D(2, interpolation="bilinear"),
    layers.MaxPooling2D: layers.MaxPooling2D(),
    layers.ZeroPadding2D: layers.ZeroPadding2D(),
    layers.Cropping2D: layers.Cropping2D(),
    layers.Reshape: layers.Reshape((4, 16, 4)),
    layers.Flatten: layers.Flatten(),
    layers.Permute: layers.Permute((2, 1, 3)),
    ChannelSlice: ChannelSlice(1, 3),
    Maxout: Maxout(2),
    Upsample: Upsample(),
    RawHead: lambda x: RawHead(1)([layers.Conv2D(4, 1)(x), layers.Conv2D(3, 1)(x)]),
    layers.Concatenate: lambda x: layers.Concatenate()([x, layers.Conv2D(2, 1)(x)]),
    layers.LeakyReLU: lambda x: layers.LeakyReLU()(layers.Conv2D(6, 1)(x)),
    layers.ActivityRegularization: layers.ActivityRegularization(),
    layers.AlphaDropout: layers.AlphaDropout(0.5),
    layers.Dropout: layers.Dropout(0.5),
    layers.GaussianDropout: layers.GaussianDropout(0.5),
    layers.GaussianNoise: layers.GaussianNoise(1.0),
    layers.RandomBrightness: layers.RandomBrightness(0.5),
    layers.RandomContrast: layers.RandomContrast(0.5),
    layers.RandomFlip: layers.RandomFlip(),
    layers.RandomRotation: layers.RandomRotation(0.5),
    layers.RandomTranslation: layers.RandomTranslation(0.5, 0.5),
    layers.RandomZoom: layers.RandomZoom(0.5),
    layers.SpatialDropout2D: layers.SpatialDropout2D(0.5),
    layers.PReLU: layers.PReLU(),
    layers.GroupNormalization: layers.GroupNormalization(2),
    layers.LayerNormalization: layers.LayerNormalization(),
    layers.Conv1D: lambda x: layers.Conv1D(4, 1)(layers.Reshape((64, 4))(x)),
}
REFUSED = [cls for cls, kind in KINDS.items() if kind.instead]


def name_of(cls):
    return f"{cls.__module__.split('.')[0]}.{cls.__name__}"


def model_of(call):
    image = layers.Input(IMAGES.shape[1:])
    return keras.Model(image, call(layers.Activation("linear")(image)))


def test_every_kind_has_a_row_here():
    assert list(CALLS) == list(KINDS)


@pytest.mark.integration
@pytest.mark.parametrize("cls", [cls for cls in CALLS if cls not in REFUSED], ids=name_of)
def test_a_layer_is_translated_exactly_and_quantized(cls):
    model = model_of(CALLS[cls])
    wanted = np.asarray(model(IMAGES, training=False))
    flat = flattened(model)
    assert flattened(flat) is flat
    assert (cls in map(type, flat.layers)) == (not KINDS[cls].training_only and not KINDS[cls].rewrite)
    assert np.abs(translate(flat)(IMAGES, training=False) - wanted).max() < 1e-5
    quantized = calibrate(quantize_aware(model), [IMAGES])
    assert np.abs(quantized(IMAGES) - wanted).max() < 0.03 * np.ptp(wanted)


@pytest.mark.parametrize("cls", REFUSED, ids=name_of)
def test_an_unsupported_layer_is_named_with_the_way_out(cls):
    model = model_of(CALLS[cls])
    name = next(layer.name for layer in model.layers if type(layer) is cls)
    with pytest.raises(ValueError, match=f"{name}.*can't be quantized.*Use {KINDS[cls].instead} instead, or convert"):
        quantize_aware(model)


def test_a_class_that_inherits_from_a_known_one():
    class Pooling(layers.MaxPooling2D):
        pass

    class Own(layers.Conv2D):
        pass

    image = layers.Input(IMAGES.shape[1:])
    pooled = quantize_aware(keras.Model(image, Pooling(name="pool")(image)))
    assert pooled.get_layer("quant_pool").quantize_config.output is None
    with pytest.raises(ValueError, match=r"'own' \(Own\) can't be quantized"):
        quantize_aware(keras.Model(image, Own(2, 1, name="own")(image)))


@pytest.mark.integration
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_quantized_alone_and_inside_a_convolution(name):
    activation = layers.ReLU(6.0) if name == "relu6" else name
    alone = layers.Activation(activation) if isinstance(activation, str) else activation
    model = model_of(lambda x: layers.Conv2D(6, 1, activation=keras.activations.get(name))(alone(x)))
    wanted = np.asarray(model(IMAGES))
    quantized = calibrate(quantize_aware(model), [IMAGES])
    assert 0 < np.abs(quantized(IMAGES) - wanted).max() < 0.03 * np.ptp(wanted)
