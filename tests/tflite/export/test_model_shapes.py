"""Models of every shape become files: their inputs, outputs, types and names are those of the model."""

import keras
import numpy as np
import pytest
from every_layer import lively, noise
from keras import layers, ops

from cspkeras.precision import policy
from cspkeras.tflite import convert
from cspkeras.tflite.runtime import litert

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 1, (8, 16, 16, 3)).astype("float32")
OTHERS = RNG.uniform(0, 1, (8, 16, 16, 3)).astype("float32")
VECTORS = RNG.normal(0, 1, (8, 5)).astype("float32")
BYTES = (IMAGES * 255).astype("uint8")
IDS = RNG.integers(0, 4, (8, 3), "int32")
SIZE = IMAGES.shape[1:]


def seen(x, filters=6):
    """A convolution, its norm, and what is left of an image."""
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=2)(x)))
    return layers.GlobalAveragePooling2D()(x)


def two_images():
    left, right = layers.Input(SIZE, name="left"), layers.Input(SIZE, name="right")
    return keras.Model([left, right], layers.Dense(4, name="same")(layers.Concatenate()([seen(left), seen(right)])))


def image_and_vector():
    image, vector = layers.Input(SIZE, name="image"), layers.Input((5,), name="vector")
    return keras.Model((image, vector), layers.Dense(4, name="sum")(layers.Concatenate()([seen(image), vector])))


def dicts():
    inputs = {"vector": layers.Input((5,), name="vector"), "photo": layers.Input(SIZE, name="photo")}
    x = layers.Concatenate()([seen(inputs["photo"]), inputs["vector"]])
    return keras.Model(inputs, {"kind": layers.Dense(4)(x), "age": layers.Dense(1)(x)})


def siamese():
    left, right = layers.Input(SIZE, name="left"), layers.Input(SIZE, name="right")
    image = layers.Input(SIZE)
    part = keras.Model(image, layers.Dense(8)(seen(image)), name="part")
    return keras.Model([left, right], layers.Dense(4, name="near")(layers.Subtract()([part(left), part(right)])))


def several_outputs():
    image = layers.Input(SIZE)
    x = seen(image)
    return keras.Model(image, [layers.Dense(4, name="kind")(x), layers.Dense(2, name="side")(x)])


def segmentation():
    image = layers.Input(SIZE)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    return keras.Model(image, layers.Conv2DTranspose(3, 2, strides=2, name="mask")(x))


def grey():
    image = layers.Input((16, 16, 1))
    return keras.Model(image, layers.Dense(4, name="kind")(seen(image)))


def vectors():
    vector = layers.Input((5,), name="measured")
    return keras.Model(vector, layers.Dense(3, name="sum")(layers.Dense(8, activation="relu")(vector)))


def batch_of_four():
    image = layers.Input(SIZE, batch_size=4)
    return keras.Model(image, layers.Dense(4, name="kind")(seen(image)))


def of_bytes():
    image = layers.Input(SIZE, dtype="uint8", name="camera")
    return keras.Model(image, layers.Dense(4, name="kind")(seen(layers.Rescaling(1 / 255)(image))))


def of_float64():
    with policy("float64"):
        image = layers.Input(SIZE, dtype="float64")
        return keras.Model(image, layers.Dense(4, name="kind")(seen(image)))


def of_any_size():
    image = layers.Input((None, None, 3))
    return keras.Model(image, layers.Dense(4, name="kind")(seen(image)))


def cyrillic():
    image, vector = layers.Input(SIZE, name="снимок"), layers.Input((5,), name="вектор")
    x = layers.GlobalAveragePooling2D(name="среднее")(layers.Conv2D(6, 3, name="слой", activation="relu")(image))
    x = layers.Concatenate(name="всё вместе")([x, vector])
    return keras.Model([image, vector], layers.Dense(4, name="выход")(x), name="модель")


def sequential():
    rows = [layers.Conv2D(6, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(4, name="kind")]
    return keras.Sequential(rows)


def called_once():
    model = sequential()
    model(IMAGES[:1])  # by which Keras fixes its batch size too
    return model


class Own(keras.Model):
    """A subclassed model."""

    def __init__(self, **options):
        super().__init__(**options)
        self.convolution, self.dense = layers.Conv2D(6, 3, activation="relu"), layers.Dense(4)

    def call(self, x):
        return self.dense(ops.mean(self.convolution(x), (1, 2)))


def subclassed():
    model = Own(name="own")
    model(IMAGES)
    return model


def subclassed_inside():
    image = layers.Input(SIZE)
    return keras.Model(image, layers.Dense(3, name="kind")(layers.ReLU()(Own()(image))))


def mixed_precision():
    with policy("mixed_float16"):
        image = layers.Input(SIZE)
        return keras.Model(image, layers.Dense(4, dtype="float32", name="kind")(seen(image)))


def of_indices():
    ids = layers.Input((3,), dtype="int32", name="words")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(4, 6)(ids))
    return keras.Model(ids, layers.Dense(3, name="kind")(x))


IMAGE = {"image": IMAGES}
CASES = {  # function: what its file takes, the file's outputs with their shapes, options
    two_images: ({"left": IMAGES, "right": OTHERS}, {"same": (1, 4)}),
    image_and_vector: ({"image": IMAGES, "vector": VECTORS}, {"sum": (1, 4)}),
    dicts: ({"photo": IMAGES, "vector": VECTORS}, {"kind": (1, 4), "age": (1, 1)}),
    siamese: ({"left": IMAGES, "right": OTHERS}, {"near": (1, 4)}),
    several_outputs: (IMAGE, {"kind": (1, 4), "side": (1, 2)}),
    segmentation: (IMAGE, {"mask": (1, 16, 16, 3)}),
    grey: ({"image": IMAGES[..., :1]}, {"kind": (1, 4)}),
    vectors: ({"measured": VECTORS}, {"sum": (1, 3)}),
    batch_of_four: (IMAGE, {"kind": (4, 4)}),
    of_bytes: ({"camera": BYTES}, {"kind": (1, 4)}),
    of_float64: (IMAGE, {"kind": (1, 4)}),
    of_any_size: (IMAGE, {"kind": (1, 4)}, {"size": (16, 16)}),
    cyrillic: ({"tensor": IMAGES, "tensor_1": VECTORS}, {"tensor": (1, 4)}),
    called_once: (IMAGE, {"kind": (1, 4)}),
    subclassed: (IMAGE, {"own": (1, 4)}),
    subclassed_inside: (IMAGE, {"kind": (1, 3)}),
    mixed_precision: (IMAGE, {"kind": (1, 4)}),
    of_indices: ({"words": IDS}, {"kind": (1, 3)}),
}


FLOATS = two_images, dicts, of_bytes, of_float64, of_any_size, cyrillic, subclassed, mixed_precision
RUNS = [(build, "int8") for build in CASES] + [(build, "float32") for build in FLOATS]
NOISE = {"int8": 0.05, "float32": 1e-3}  # the second is that of 16 bits


def fed(model, arrays):
    """The arrays in the structure that a model takes."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    return arrays if isinstance(model.input, dict) else list(arrays.values())


@pytest.mark.integration
@pytest.mark.parametrize(("build", "precision"), RUNS, ids=lambda x: getattr(x, "__name__", x))
def test_a_file_takes_and_gives_what_the_model_does(build, precision, tmp_path):
    arrays, outputs, *options = CASES[build]
    keras.utils.set_random_seed(0)
    model = lively(build())
    calibration = [fed(model, arrays)] if precision == "int8" else None
    path = convert(model, tmp_path / "x.tflite", precision, calibration, **(options[0] if options else {}))
    run = litert.run_cpu(path, arrays)
    assert {name: x.shape[1:] for name, x in run.outputs.items()} == outputs
    assert {name: x.shape[2:] for name, x in run.raw.items()} == {name: x.shape[1:] for name, x in arrays.items()}
    kept = {name: x.dtype if x.dtype.kind in "iu" else np.dtype("float32") for name, x in arrays.items()}
    assert {name: x.dtype for name, x in run.raw.items()} == kept
    made = model(fed(model, arrays))
    exact = made if isinstance(made, dict) else dict(zip(outputs, keras.tree.flatten(made), strict=True))
    for name, values in run.outputs.items():
        values = values.reshape(-1, *values.shape[2:])
        assert noise(values, exact[name]) < NOISE[precision]


@pytest.mark.integration
def test_a_sequential_model_that_was_never_built_takes_images_of_a_size(tmp_path):
    run = litert.run_cpu(convert(sequential(), tmp_path / "x.tflite", size=(16, 16)), IMAGES[:1])
    assert run.outputs["kind"].shape == (1, 1, 4)


def channels_first():
    image = layers.Input((3, 16, 16))
    return keras.Model(image, layers.Conv2D(4, 3, data_format="channels_first", name="first")(image), name="turned")


def quantized_by_keras():
    model = vectors()
    model.quantize("int8")
    return model


REFUSED = {
    channels_first: r"turned, whose layer 'first' has data_format=\"channels_first\"; build it with",
    sequential: r"a Sequential model that was never built; .* or give size=\(height, width\)",
    Own: "a Own whose input's shape is not known; call it once on an array",
    of_any_size: r"a phone needs a fixed input size.*\(None, None, None, 3\); give size=\(height, width\)",
    quantized_by_keras: "Keras' own quantize.* convert the model as it was before",
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_what_cannot_be_converted_is_one_line_with_the_way_out(build, tmp_path):
    with pytest.raises(ValueError, match=REFUSED[build]) as caught:
        convert(build(), tmp_path / "x.tflite")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(TypeError, match=r"must be a Keras model. Received: 'model.keras'; load a file by keras.saving"):
        convert("model.keras", tmp_path / "x.tflite")
