"""A classifier's figures against ones computed by hand, its report, and its names in a .keras file."""

import json
import re

import keras
import numpy as np
import pytest
from html_page import Page
from PIL import Image

from cspkeras.commands.main import main
from cspkeras.saving import exporter
from cspkeras.training import ClassificationData, LabelledImage
from cspkeras.training.evaluation.classification import Answers, classify
from cspkeras.training.evaluation.classification_report import write_classification

EVIL = "<script>'\"&"
COLOURS = {"blue": (0, 0, 220), "green": (0, 180, 0), "red": (200, 0, 0)}  # sorted, as the folders are
SIDE = 32


def data_of(labels, classes=6):
    """An image a label, its grey telling its number among them."""
    examples = [LabelledImage(np.full((SIDE, SIDE, 3), i, "uint8"), label) for i, label in enumerate(labels)]
    return ClassificationData(examples, tuple(f"{EVIL}{k}" for k in range(classes)))


def answering(scores, logits=False):
    """`Answers` that give an image the row of `scores` of its number."""
    scores = np.asarray(scores, "float32")
    ask = lambda images: scores[np.rint(images[:, 0, 0, 0] * 255).astype(int)]  # noqa: E731
    return Answers(ask, (SIDE, SIDE), logits, scores.shape[1], None)


SCORES = np.array(  # of the classes 0 to 5
    [
        [0.5, 0.1, 0.1, 0.1, 0.1, 0.1],  # right
        [0.6, 0.2, 0.05, 0.05, 0.05, 0.05],  # the second
        [0.5, 0.2, 0.15, 0.1, 0.04, 0.01],  # the last of six
        [0.3, 0.3, 0.1, 0.1, 0.1, 0.1],  # as good as another: not right
    ]
)
LABELS = [0, 1, 5, 1]


@pytest.mark.parametrize("logits", (False, True))
def test_figures_of_known_answers(logits):
    scores = np.log(SCORES) + 7 if logits else SCORES
    found = classify(answering(scores, logits), data_of(LABELS), batch_size=3)
    expected = dict(top1=1 / 4, top5=3 / 4, loss=-np.log(SCORES[np.arange(4), LABELS]).mean())
    assert found.figures() == pytest.approx(expected, abs=1e-6)
    assert found.matrix.tolist()[:2] == [[1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]] and found.matrix[5, 0] == 1
    assert found.worst() == [1, 2, 3] and found.surest == pytest.approx([0.5, 0.6, 0.5, 0.3], abs=1e-6)
    rows = list(found.to_json()["per_class"].values())
    assert rows[0] == {"precision": 0.25, "recall": 1.0, "images": 1}
    assert rows[1] == {"precision": None, "recall": 0.0, "images": 2}


def test_answers_that_are_no_numbers_are_wrong():
    found = classify(answering(np.full((4, 6), np.nan)), data_of(LABELS))
    assert found.figures()["top1"] == found.figures()["top5"] == 0 and found.to_json()["loss"] is None


def test_broken_pictures_are_left_out_and_named(tmp_path):
    for name in ("a.png", "c.png"):
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / name)
    (tmp_path / "b.png").write_text("no image")
    data = ClassificationData([LabelledImage(tmp_path / f"{n}.png", 0) for n in "bac"], ("x", "y"))
    lines = []
    found = classify(answering([[0.2, 0.8]]), data, report=lines.append)
    assert found.numbers.tolist() == [1, 2] and [row["image"] for row in found.to_json()["worst"]] == [
        "a.png",
        "c.png",
    ]
    assert len(lines) == len(found.problems) == 1 and "b.png" in lines[0]


def test_the_page(tmp_path):
    found = classify(answering(SCORES), data_of(LABELS))
    text = write_classification(tmp_path / "new", found, EVIL, [EVIL]).read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text and "nan" not in text and not re.search(r"https?://|@import|url\(", text)
    assert len(page.all("img")) == 3 and "image 1: " in text and "(0.60)" in text
    assert [f"{EVIL}1", "–", "0.000", "2"] in page.table
    assert json.loads((tmp_path / "new/evaluation.json").read_text()) == found.to_json()


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "--model", "{bare}", "--output", "x.tflite"), "{bare}: does not name its classes; give --data, "),
        (
            ("export", "--model", "{named}", "--android", "demo"),
            "--android: the application shows what a detector finds; {named} holds a classifier",
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
