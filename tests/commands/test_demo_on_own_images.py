"""`cspkeras demo --data`: which data it takes in place of what is missing, what it refuses, and all of it once."""

import json
import re
from argparse import Namespace

import numpy as np
import pytest
from html_page import Page
from PIL import Image
from small_data import COLORS
from tiny_classifier import tiny

from cspkeras.commands.main import main
from cspkeras.commands.reading import read_parts
from cspkeras.demo import own, run
from cspkeras.tflite.device.classify import Classifier


def labelled(folder, images, colors=COLORS, split=""):
    """A folder of images of each colour, in a folder of its name."""
    for name in colors:
        (folder / split / name).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            noise = np.random.default_rng(i).normal(COLORS[name], 20, (8, 8, 3))
            Image.fromarray(noise.clip(0, 255).astype("uint8")).save(folder / split / name / f"{i}.png")
    return folder


def parts(data, **options):
    """The images' names of each part that is read, and what was logged."""
    chosen = dict(data=data, format=None, train_split="train", val_split="val") | options
    return [[example.image.name for example in part.examples] for part in read_parts(Namespace(**chosen))]


def names(split, count):
    return [f"{split}{i}.png" for i in range(count)]


def test_all_splits_are_taken_as_they_are(make_voc, capsys):
    folder = make_voc(train=60, val=2)
    (folder / "ImageSets/Main/test.txt").write_text("val1\n")
    assert parts(folder) == [names("train", 60), names("val", 2), ["val1.png"]]
    assert "few" not in capsys.readouterr().err


def test_a_fifth_of_the_training_images_takes_the_place_of_a_split(make_voc, capsys):
    folder = make_voc(train=7, val=0)
    (folder / "ImageSets/Main/val.txt").unlink()
    train, val, held_out = parts(folder)
    assert (len(train), len(val)) == (6, 1) and sorted(train + val) == names("train", 7) and held_out == val
    said = capsys.readouterr().err
    assert f"{folder}: has no split val; 1 of the 7 training images, drawn with seed 0, take its place\n" in said
    assert f"{folder}: has no split test; the figures are of the validation images\n" in said
    assert f"{folder}: 7 images are few to learn from; label a hundred or more, then add --overwrite\n" in said
    assert parts(folder) == [train, val, val]  # again


def test_images_without_labels_are_not_measured_on(make_voc, capsys):
    folder = make_voc(train=3, val=2)
    (folder / "ImageSets/Main/test.txt").write_text("")
    assert parts(folder)[2] == names("val", 2)
    reason = f"{folder}/ImageSets/Main/test.txt: no image with a usable object; found no image"
    assert f"{folder}: {reason}; the figures are of the validation images\n" in capsys.readouterr().err


def test_what_cannot_be_trained_on(make_voc, tmp_path):
    folder = make_voc(train=1, val=0)
    (folder / "ImageSets/Main/val.txt").unlink()
    single, one = re.escape(f"--data {folder}: has a single image"), labelled(tmp_path / "one", 3, ("red",), "train")
    with pytest.raises(ValueError, match=f"{single} and no split val; label more images"):
        parts(folder)
    with pytest.raises(ValueError, match="has no split dev; say --train-split train$"):
        parts(folder, train_split="dev")
    with pytest.raises(ValueError, match="has one class, red; a classifier needs two, each a folder of images$"):
        parts(one)


@pytest.mark.parametrize(
    "options, message",
    (
        (("--minutes", "0"), "argument --minutes: must be at least 2, received 0; see cspkeras demo --help"),
        (("--weights", "coco"), "--weights: is for your own images; name them by --data, or leave it out"),
        (("--data", "{}"), "{}: no data set; expected ImageSets/Main"),
        (("--data", "{}/none"), "{}/none: missing; expected a data set: a folder or a file"),
    ),
)
def test_one_line_says_what_to_type(options, message, one_error, tmp_path):
    (tmp_path / "empty").mkdir()
    line = one_error("demo", *(part.format(tmp_path / "empty") for part in options), "--run", tmp_path / "run")
    assert line.startswith(f"cspkeras: {message.format(tmp_path / 'empty')}") and not (tmp_path / "run").exists()


def test_weights_of_the_other_kind(tmp_path, capsys):
    data = str(labelled(tmp_path / "data", 2))
    assert main(["demo", "--data", data, "--weights", "coco", "--run", str(tmp_path / "run")]) == 1
    expected = "cspkeras: weights of CSPNeXtTiny must be a path or 'imagenet'. Received: weights='coco'"
    assert capsys.readouterr().err.splitlines()[-1] == expected


@pytest.fixture
def small(monkeypatch):
    """The demo of labelled images with a tiny network and few epochs."""
    monkeypatch.setattr(own, "build_network", lambda data, size, weights: tiny(classes=len(data.class_names)))
    monkeypatch.setattr(own, "SIZES", {False: (8,)})
    monkeypatch.setattr(own, "RANDOM", {"epochs": 6, "learning_rate": 0.05})


@pytest.mark.integration
def test_labelled_images_become_a_file_and_a_report(small, monkeypatch, capfd, tmp_path):
    """Interrupted after the training, it is resumed, by the same plan."""
    data, folder = labelled(tmp_path / "data", 20), tmp_path / "run"
    (data / "red/broken.png").write_text("no image")
    command = ["demo", "--data", str(data), "--run", str(folder), "--minutes", "5"]

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "convert", interrupt)
        assert main(command) == 130
    first = capfd.readouterr()
    assert (
        "8x8 pixels, all of 49 images, 12 to validate, 6 epochs and 1 of quantization-aware training: about"
        in first.out
    )
    assert first.err.splitlines()[-1] == "cspkeras: interrupted; the same command resumes it"
    assert "red/broken.png: not a readable image" in first.out

    monkeypatch.setattr(own, "try_out", None)
    assert main(command) == 0
    said = capfd.readouterr().out
    assert "on the device, with a copy of" in said and "android" not in said
    results = json.loads((folder / "results.json").read_text())
    assert [results[name]["top1"] for name in ("keras", "float16", "int8")] == pytest.approx([1, 1, 1], abs=0.1)
    assert Classifier(folder / "int8.tflite").labels == sorted(COLORS)
    page = (folder / "report.html").read_text()
    assert [row[0] for row in Page(page).table] == ["Model", "Keras", "float16", "int8"] and "top-1" in page
    assert page.count("<figcaption>found: ") == 11  # there are 12 images, and one is broken
