"""`cspkeras evaluate` and `export` of a classifier, with its classes' names in the file and without."""

import json
import re

import keras
import numpy as np
import pytest
from PIL import Image

from cspkeras.commands.main import main
from cspkeras.saving import exporter

COLOURS = {"blue": (0, 0, 220), "green": (0, 180, 0), "red": (200, 0, 0)}  # sorted, as the folders are
SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Classifiers that tell colours, with names in their files and without, and images of each colour."""
    folder = tmp_path_factory.mktemp("colours")
    for name, colour in COLOURS.items():
        (folder / "data" / "test" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (40, 50), tuple(max(0, c - i) for c in colour)).save(folder / f"data/test/{name}/{i}.png")
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.GlobalAveragePooling2D()(image)
    kernel = 8 * np.eye(3)[:, ::-1]  # blue, green, red
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="predictions")(x), name="colours")
    model.get_layer("predictions").set_weights([kernel, np.zeros(3)])
    exporter(model, tuple(COLOURS))(folder / "named.keras")
    exporter(model)(folder / "bare.keras")
    return folder


def command(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.integration
def test_evaluate_and_export_of_a_classifier(folder, tmp_path, capsys):
    data = ("--data", folder / "data")
    for name, told in (("named", False), ("bare", True)):
        model = ("--model", folder / f"{name}.keras")
        status, out, err = command(capsys, "evaluate", *model, *data, "--output", tmp_path / name)
        assert status == 0 and "top1         1.0000" in out and re.search(r"^red +6 +1.0000 +1.0000$", out, re.M), out
        assert ("does not name its classes" in err) == told and (tmp_path / name / "evaluation.html").is_file()
        file = tmp_path / f"{name}.tflite"
        export = ("export", *model, "--output", file, *data, "--train-split", "test", "--precision", "int8")
        status, out, err = command(capsys, *export)
        assert status == 0, err
        status, out, _ = command(capsys, "evaluate", "--model", file, *data, "--json")
        measured = json.loads(out)
        assert measured["top1"] == 1 and list(measured["per_class"]) == list(COLOURS)


@pytest.mark.integration
def test_one_score_of_two_classes_on_pixels_of_0_to_255(folder, tmp_path, capsys):
    for name in ("blue", "red"):
        (tmp_path / "data" / "test").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "test" / name).symlink_to(folder / "data" / "test" / name)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(1, "sigmoid", name="is_red")(x), name="red")
    model.get_layer("is_red").set_weights([np.float32([[8], [0], [-8]]), np.zeros(1)])
    model.save(tmp_path / "red.keras")
    evaluate = ("evaluate", "--model", tmp_path / "red.keras", "--data", tmp_path / "data")
    status, out, err = command(capsys, *evaluate)
    assert status == 0 and "top1         1.0000" in out and "red.keras: takes pixels in 0..255" in err
    loss = float(re.search(r"^loss +([\d.]+)$", out, re.M)[1])
    _, out, err = command(capsys, *evaluate, "--scale", "1/255")
    assert float(re.search(r"^loss +([\d.]+)$", out, re.M)[1]) > loss + 0.5 and "takes pixels" not in err
    status, _, err = command(capsys, *evaluate[:3], "--data", folder / "data")
    assert status == 1 and err.splitlines()[-1] == "cspkeras: the model has 2 classes, the data has 3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("evaluate", "--model", "x.tflite", "--data", "d", "--mean", "1", "--scores", "logits"),
            "x.tflite: a .tflite file says that itself; leave --mean, --scores out",
        ),
        (
            ("export", "--model", "{named}", "--android", "demo"),
            "--android: the application needs a detector, {named} holds a classifier",
        ),
    ],
)
def test_what_is_missing_is_said(folder, one_error, arguments, message):
    files = {name: folder / f"{name}.keras" for name in ("named", "bare")}
    line = one_error(*(part.format(**files) for part in arguments))
    assert line.startswith(f"cspkeras: {message.format(**files)}")


def test_data_of_another_kind_or_other_classes(folder, make_voc, capsys, tmp_path):
    status, _, err = command(
        capsys, "evaluate", "--model", folder / "bare.keras", "--data", make_voc(), "--split", "val"
    )
    expected = "cspkeras: bare.keras is a classifier, and the data has objects in images"
    assert status == 1 and err.splitlines()[-1] == expected
    for name in ("a", "b"):
        (tmp_path / "two" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "two" / name / "1.png")
    status, _, err = command(capsys, "evaluate", "--model", folder / "bare.keras", "--data", tmp_path / "two")
    assert status == 1 and err.splitlines()[-1] == "cspkeras: the model has 3 classes, the data has 2"
