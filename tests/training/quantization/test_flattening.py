"""Users' models: models inside models, layers used twice, mixed precision, on the way to 8 bits and into a file."""

import keras
import numpy as np
import pytest
from every_layer import Block, lively
from keras import layers

from cspkeras.graph import Uncopied, is_shared
from cspkeras.precision import policy
from cspkeras.tflite import check, convert
from cspkeras.tflite.export.convert import reference
from cspkeras.training.quantization.aware import calibrate, quantize_aware
from cspkeras.training.quantization.flattening import flattened

IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 32, 32, 3)).astype("float32")


def answers(model):
    return np.asarray(model(IMAGES, training=False), "float32")


def stage():
    """A model to be used inside another."""
    x = image = layers.Input((16, 16, 8))
    for layer in (layers.Conv2D(8, 3, padding="same", name="conv"), layers.BatchNormalization(), layers.ReLU()):
        x = layer(x)
    return keras.Model(image, x, name="inner")


def users_model():
    """What users write: images varied inside, parts that are models, and each part used twice."""
    keras.utils.set_random_seed(0)
    image = layers.Input(IMAGES.shape[1:], name="image")
    varied = keras.Sequential([layers.RandomFlip(), layers.GaussianNoise(0.1)])(image)
    x = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06])(varied)
    x = layers.ReLU()(layers.Dropout(0.2)(layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(x)))
    inner = stage()
    x = layers.SeparableConv2D(16, 3, padding="same", activation="relu", name="apart")(inner(inner(x)))
    large = [layers.UpSampling2D(2)(x), layers.UpSampling2D(2, interpolation="bilinear")(x)]
    large = layers.Concatenate()([layers.Conv2DTranspose(8, 2, strides=2, activation="relu", name="larger")(x), *large])
    shared, pool = layers.Dense(8, activation="relu", name="shared"), layers.GlobalAveragePooling2D()
    x = layers.Add()([shared(pool(large)), shared(layers.Dense(40)(pool(x)))])
    return keras.Model(image, layers.Dense(5, activation="softmax")(x), name="users")


@pytest.fixture(scope="module")
def model():
    return users_model()


def test_flattening_changes_no_answer(model):
    flat = flattened(model)
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    assert np.abs(answers(flat) - answers(model)).max() < 1e-6
    names = [layer.name for layer in flat.layers]
    assert {"conv", "inner_conv", "inner_conv_2", "apart_depthwise", "apart", "shared", "shared_2"} <= set(names)
    assert flattened(flat) is flat
    assert not any(is_shared(operation) for operation in flat.operations)


def test_a_layer_made_of_others_becomes_them_and_keeps_its_answers():
    keras.utils.set_random_seed(0)
    image = layers.Input(IMAGES.shape[1:], name="image")
    x = layers.Conv2D(8, 3, name="conv")(image)
    model = lively(keras.Model(image, Block(name="block")(Block(name="other")(x))))
    flat = flattened(model)
    assert not any(isinstance(layer, Block) for layer in flat.layers)
    kinds = [type(layer).__name__ for layer in flat.layers]
    assert kinds.count("Conv2D") == 3 and kinds.count("BatchNormalization") == 2
    assert np.abs(answers(flat) - answers(model)).max() < 1e-6


def test_a_layer_without_weights_becomes_what_it_calls():
    class ScaledSum(layers.Layer):
        def call(self, inputs, training=None):
            return inputs[0] + (0.5 if training else 0.2) * inputs[1]

    class AsItIs(layers.Layer):
        def call(self, x):
            return x

    image = layers.Input(IMAGES.shape[1:])
    model = keras.Model(image, AsItIs()(ScaledSum()([layers.Conv2D(4, 3)(image), layers.Conv2D(4, 3)(image)])))
    flat = flattened(model)
    assert not [layer for layer in flat.layers if isinstance(layer, ScaledSum | AsItIs)]
    assert {"Add", "Multiply"} <= {type(operation).__name__ for operation in flat.operations}
    assert np.abs(answers(flat) - answers(model)).max() < 1e-6


class Opposite(layers.Dense):
    def call(self, x):
        return x - super().call(x)


class Scaled(layers.Layer):
    def call(self, x, scale=2.0, shift=1.0):
        return x * scale + shift


class Rows(layers.Layer):
    def call(self, x):
        return keras.ops.reshape(x, (keras.ops.shape(x)[0], 32, 3))


# What was taken apart wrongly, or could not be.
OWN = {
    "lstm": lambda x: layers.LSTM(4)(layers.Reshape((32, 3))(x)),
    "subclass": lambda x: Opposite(3, activation="relu")(x),
    "shift of zero": lambda x: Scaled()(x, shift=0.0),
    "batch size": lambda x: layers.Flatten()(Rows()(x)),
}


@pytest.mark.parametrize("name", OWN)
def test_what_a_layer_computes_stays(name):
    image = layers.Input((8, 4, 3))
    model = keras.Model(image, layers.Dense(2)(OWN[name](layers.Conv2D(3, 1, activation="relu")(image))))
    images = IMAGES[:, :8, :4]
    assert np.abs(flattened(model).predict(images, verbose=0) - model.predict(images, verbose=0)).max() < 1e-5


def test_a_layer_that_can_not_be_made_again_is_named():
    class Position(layers.Layer):
        def __init__(self, size):
            super().__init__()
            self.offset = self.add_weight(shape=(size,), name="offset")

        def call(self, x):
            return x + self.offset

    image = layers.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2D(3, 1, activation="relu")(Position(3)(image)))
    with pytest.raises(Uncopied, match="^layer 'position', a Position, can't be made again; give it get_config"):
        flattened(model)


def test_a_layer_whose_code_depends_on_values_stays_whole():
    class Odd(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.inner = layers.Dense(3)

        def call(self, x):
            y = self.inner(x)
            return y * 2.0 if float(keras.ops.max(y)) < 1e9 else y

        def compute_output_shape(self, shape):
            return (*shape[:-1], 3)

    image = layers.Input(IMAGES.shape[1:])
    model = keras.Model(image, layers.ReLU()(layers.RandomFlip()(Odd(name="odd")(image))))
    flat = flattened(model)
    assert isinstance(flat.get_layer("odd"), Odd)
    assert np.abs(answers(flat) - answers(model)).max() < 1e-6


def test_names_in_any_letters_become_ones_that_tensorflow_takes_each_once():
    image = layers.Input((4, 4, 3), name="снимок")
    x = layers.Conv2D(2, 1, name="слой")(layers.Conv2D(2, 1, name="свой")(image))
    names = [layer.name for layer in flattened(keras.Model(image, x, name="модель")).layers[1:]]
    assert len(set(names)) == 2 and all(name.isascii() and name[0].isalnum() for name in names)


@pytest.mark.integration
def test_a_users_model_is_quantized(model):
    quantized = calibrate(quantize_aware(model), [IMAGES])
    assert 0 < np.abs(answers(quantized) - answers(model)).max() < 0.02


def test_a_sequential_model_is_quantized():
    model = keras.Sequential([layers.Input(IMAGES.shape[1:]), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    assert np.abs(answers(calibrate(quantize_aware(model), [IMAGES])) - answers(model)).max() < 0.05


def test_a_model_that_is_not_functional_is_named():
    class Own(keras.Model):
        def call(self, x):
            return x

    image = layers.Input(IMAGES.shape[1:])
    for wrong in (Own(name="own"), keras.Model(image, Own(name="own")(image))):
        with pytest.raises(ValueError, match="only functional models.*'own'"):
            quantize_aware(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("trained_in", ["float32", "mixed_float16"])
def test_a_users_file_is_delegated_whole(trained_in, tmp_path):
    with policy(trained_in):
        model = users_model()
    path = convert(model, tmp_path / "model.tflite", "float16")
    checked = check(path, reference=reference(flattened(model)), images=IMAGES, runs=1)
    if checked.gpu_delegated is None:
        pytest.skip(checked.gpu_note)
    assert checked.faults == []
    assert "CAST" not in checked.operations, "of mixed precision nothing is left"
