"""`cspkeras export` of any model: how it is loaded, calibrated and told apart."""

import shutil

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from PIL import Image

from cspkeras.commands.main import main
from cspkeras.tflite.export import metadata

SIDE = 16


class Unknown(layers.Layer):
    """A layer whose code the command does not have."""

    def call(self, x):
        return x


def functional(*steps, shape=(SIDE, SIDE, 3)):
    x = image = keras.Input(shape, name="image")
    for step in steps:
        x = step(x)
    return keras.Model(image, x, name="own")


def classifier(activation="softmax", units=3, **options):
    return functional(layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(units, activation), **options)


def two_inputs():
    image, vector = keras.Input((SIDE, SIDE, 3), name="image"), keras.Input((5,), name="vector")
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image)), vector])
    return keras.Model([image, vector], [layers.Dense(2, name="first")(x), layers.Dense(3, name="second")(x)])


def quantized_by_keras():
    model = classifier()
    model.quantize("int8")
    return model


MODELS = {
    "softmax": classifier,
    "tanh": lambda: classifier("tanh"),
    "binary": lambda: classifier("sigmoid", 1),
    "grey": lambda: classifier(shape=(SIDE, SIDE, 1)),
    "bytes": lambda: functional(layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, "softmax")),
    "segmentation": lambda: functional(layers.RandomFlip(), layers.Conv2D(2, 3)),
    "any_size": lambda: functional(layers.Conv2D(2, 3), shape=(None, None, 3)),
    "vector": lambda: functional(layers.Dense(2, name="слой"), shape=(5,)),
    "two_inputs": two_inputs,
    "lambda": lambda: functional(layers.Lambda(lambda x: x * 2 - 1)),
    "custom": lambda: functional(Unknown()),
    "unbuilt": lambda: keras.Sequential([layers.Conv2D(2, 3)]),
    "quantized": quantized_by_keras,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The models' files, images of three classes, and arrays."""
    folder = tmp_path_factory.mktemp("models")
    for name, build in MODELS.items():
        build().save(folder / f"{name}.keras")
    classifier().save(folder / "old.h5")
    (folder / "exported").mkdir()
    (folder / "exported" / "saved_model.pb").touch()
    rng = np.random.default_rng(0)
    for i, name in enumerate(("ant", "bee", "cat") * 2):
        (folder / "data" / "train" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), "uint8")).save(folder / f"data/train/{name}/{i}.png")
    (folder / "names.txt").write_text("ant\nbee\ncat\n", "utf-8-sig")
    images, vectors = rng.random((6, SIDE, SIDE, 3), "float32"), rng.random((6, 5), "float32")
    np.savez(folder / "two.npz", image=images, vector=vectors)
    np.savez(folder / "uneven.npz", image=images, vector=vectors[:4])
    np.savez(folder / "one.npz", images)
    np.savez(folder / "empty.npz")
    return folder


@pytest.fixture
def export(folder, tmp_path, capsys):
    """A function that exports one of the models, and gives the status, the file and the standard error."""

    def run(name, *options):
        file = tmp_path / "exported.tflite"
        options = [str(option).format(folder=folder) for option in options]
        status = main(["export", "--model", str(folder / name), "--output", str(file), *options])
        return status, file, capsys.readouterr().err

    return run


CODE = (
    "does not hold the code of 'Unknown'; keras.saving.load_model it in Python where 'Unknown' is imported, and call "
)
INT8 = ("--precision", "int8")
DATA = ("--data", "{folder}/data")
ARRAYS = (*INT8, "--calibration")
REFUSED = {
    ("lambda.keras",): "has a Lambda layer, a piece of Python code, which Keras does not run from a file; ",
    ("custom.keras",): CODE,
    (
        "unbuilt.keras",
    ): "' that was never built, so it has no weights; begin it with keras.Input((height, width, channels)), ",
    ("exported",): "a SavedModel, which has no Keras layers; give what model.save(...) writes ",
    ("two_inputs.keras", *INT8): "--precision int8 needs --data, the images that calibrate it, or --calibration",
    ("two_inputs.keras", *INT8, *DATA): "not images; give --calibration FILE.npz, an array for each",
    ("two_inputs.keras", *ARRAYS, "{folder}/one.npz"): "expected those of the inputs: image, vector",
    ("two_inputs.keras", *ARRAYS, "{folder}/uneven.npz"): "expected the same number of rows in each array",
    ("softmax.keras", *ARRAYS, "{folder}/names.txt"): "neither a folder of images nor a .npz file",
    ("softmax.keras", *ARRAYS, "{folder}/exported"): "has no images",
    ("any_size.keras", *INT8, *DATA): "takes images of any size; give --size HEIGHT WIDTH",
    ("vector.keras", "--labels", "{folder}/names.txt"): "holds no classifier of images; leave it out",
    ("binary.keras", "--labels", "{folder}/names.txt"): "has 3 names for 1 classes",
    ("segmentation.keras", "--scores", "softmax"): "--scores: only a classifier's file with labels says it",
    ("segmentation.keras", "--mean", "3"): "--mean: only a classifier's file with labels says it; give --labels, or",
    ("softmax.keras", "--strict"): "--strict: is for --precision int8. Received: --precision float16; leave it out",
    ("softmax.keras", "--refine", "9"): "--refine: is for a model that is calibrated to integers",
    ("softmax.keras", "--calibration", "{folder}/one.npz"): "--calibration: is for a model that is calibrated",
    ("softmax.keras", *ARRAYS, "{folder}/empty.npz"): "not a whole .npz file (it holds none)",
    ("softmax.keras", *ARRAYS, "{folder}/missing.npz"): "missing.npz: No such file or directory",
    ("softmax.keras", "--labels", "{folder}"): ": Is a directory",
    ("softmax.keras", "--size", "24", "32"): "size=(height, width) is for inputs without one. Received: size=(24, 32)",
    ("tanh.keras", "--labels", "{folder}/names.txt"): "(on the command line --scores): softmax, sigmoid ",
    ("softmax.keras", "--decode", "host"): 'decode="host" is for detectors',
    ("softmax.keras", "--io", "uint8"): 'io="uint8" is for int8',
    ("quantized.keras", "--labels", "{folder}/names.txt"): "Keras' own quantize() changed its dense",
}


@pytest.mark.integration
def test_a_model_is_not_replaced_by_its_file(folder, tmp_path, capsys):
    model = tmp_path / "model.keras"
    shutil.copy(folder / "two_inputs.keras", model)
    assert main(["export", "--model", str(model), "--output", str(tmp_path / "." / "model.keras")]) == 1
    assert "is the model itself, which it would replace" in capsys.readouterr().err
    assert model.read_bytes() == (folder / "two_inputs.keras").read_bytes()


@pytest.mark.integration
@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_exported_is_said_in_a_line(case, export):
    status, file, err = export(*case)
    line = err.splitlines()[-1]
    assert status == 1 and line.startswith("cspkeras: ") and REFUSED[case] in line, err
    assert "Traceback" not in err and not file.exists()


CASES = {  # the file's inputs, what its settings say, and what is told
    ("softmax.keras", "--labels", "{folder}/names.txt"): ("image", dict(scores="softmax"), ""),
    ("softmax.keras",): ("image", None, "does not name its classes, so the file won't say how it is used"),
    ("old.h5", *DATA): ("image", dict(scores="softmax"), "assumed to be those of the data"),
    ("binary.keras", "--labels", "{folder}/two.txt"): ("image", dict(scores="sigmoid"), ""),
    ("grey.keras", *INT8, *DATA): ("image", dict(scores="softmax"), ""),
    ("bytes.keras", *INT8, *DATA): (
        "image",
        dict(scores="softmax"),
        "takes pixels in 0..255, as its network or its first layers show",
    ),
    ("segmentation.keras", *INT8, "--calibration", "{folder}/data/train/ant"): ("image", None, ""),
    ("any_size.keras", "--size", "24", "32"): ("image", None, ""),
    ("vector.keras",): ("image", None, ""),
    ("two_inputs.keras", *ARRAYS, "{folder}/two.npz"): ("image vector", None, ""),
}


@pytest.mark.integration
@pytest.mark.parametrize("case", CASES)
def test_any_model(case, export, folder):
    inputs, settings, told = CASES[case]
    (folder / "two.txt").write_text("cat\ndog\n")
    status, file, err = export(*case)
    assert status == 0 and told in err and "Captures" not in err, err
    assert sorted(Interpreter(str(file)).get_signature_runner().get_input_details()) == inputs.split()
    if settings is None:
        with pytest.raises(ValueError, match="carries no cspkeras settings"):
            metadata.read(file)
        return
    found, labels = metadata.read(file)
    assert settings.items() <= found.items()
    assert found["input"]["scale"] == (1.0 if case[0] == "bytes.keras" else 1 / 255)
    assert labels == (["dog"] if case[0] == "binary.keras" else ["ant", "bee", "cat"])
