"""What a recipe can ask of `fit`, on a classifier small enough for a test."""

import csv
import json

import keras
import numpy as np
import pytest
from html_page import Page
from tiny_classifier import PLAIN, TRAIN, VAL, colours, fit_tiny, tiny

from cspkeras.precision import policy
from cspkeras.training import Recipe, fit
from cspkeras.training.run.tasks import Task


@pytest.mark.integration
@pytest.mark.parametrize("name, activation", (("adamw", "softmax"), ("sgd", None)))
def test_a_classifier_learns(name, activation, tmp_path):
    model, rows = fit_tiny(tmp_path, tiny(activation), optimizer=name, epochs=12, loss={"label_smoothing": 0.1})
    with open(tmp_path / "results.csv", newline="") as file:
        recorded = list(csv.DictReader(file))
    assert [float(row["val_top1"]) for row in recorded] == [row["val_top1"] for row in rows]
    best = max(row["val_top1"] for row in rows)
    assert best > 0.9 and all(row["val_top5"] == 1 for row in rows)
    images, labels = (np.array(x) for x in zip(*((e.pixels(), e.label) for e in VAL.examples), strict=True))
    loaded = keras.models.load_model(tmp_path / "best.keras")
    for one in (model, loaded):  # both have the weights that measured best
        answers = one.predict(images / np.float32(255), verbose=0)
        assert np.mean(np.argmax(answers, axis=-1) == labels) == best
    text = (tmp_path / "report.html").read_text()
    assert "Training of tiny" in text and "Validation accuracy" in text and "http" not in text
    page = Page(text)
    assert [row[0] for row in page.table] == ["Epoch", page.table[1][0], "last, epoch 12"]
    assert len(page.all("img")) == 4 and all(", taken for " in image["alt"] for image in page.all("img"))


@pytest.mark.parametrize(
    "precision",
    [
        pytest.param("mixed_bfloat16", marks=pytest.mark.integration),
        pytest.param("mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_mixed_precision(precision, tmp_path):
    with policy(precision):
        model = tiny()
    _, rows = fit_tiny(tmp_path, model, precision=precision, epochs=12)
    assert max(row["val_top1"] for row in rows) > 0.9 and keras.config.dtype_policy().name == "float32"
    loaded = keras.models.load_model(tmp_path / "best.keras")
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}


REFUSED = {
    "precision": (dict(precision="mixed_float16"), "precision mixed_float16: the model was built under float32"),
    "augmentation": (dict(augment={"flips": 1}), "unknown key augment.flips, did you mean augment.flip\\?"),
    "last augmentation": (
        dict(last_augment={"flips": 1}),
        "unknown key last_augment.flips, did you mean last_augment.flip\\?",
    ),
    "its value": (dict(epochs=5, last_epochs=1, last_augment={"flip": 2}), "flip must be a probability, from 0 to 1"),
    "a value before": (
        dict(epochs=5, last_epochs=1, augment={"flip": "often"}, last_augment={"flip": 0}),
        "flip must be a probability, from 0 to 1. Received: flip=often",
    ),
    "loss": (dict(loss={"smoothing": 1}), "unknown key loss.smoothing, did you mean loss.label_smoothing\\?"),
    "labels smoothed twice": (
        dict(loss={"label_smoothing": 0.1}, augment={"label_smoothing": 0.2}),
        "labels can be smoothed in the loss or in the augmentation. "
        "Received: loss.label_smoothing=0.1, augment.label_smoothing=0.2",
    ),
    "labels smoothed twice at last": (
        dict(loss={"label_smoothing": 0.1}, augment={"label_smoothing": 0.0}, last_augment={"label_smoothing": 0.2}),
        "labels can be smoothed in the loss or in the augmentation. ",
    ),
    "class weights": (dict(loss={"class_weights": [1]}), "class_weights must be 3 numbers of at least 0"),
    "stage": (dict(freeze=2), "freeze must be a stage of tiny. Received: freeze=2"),
    "batch": (dict(batch_size=25), "24 training images do not fill one batch of 25"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_before_anything_is_written(case, tmp_path):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{message}"):
        fit_tiny(tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_models_and_data_that_do_not_go_together(detector, tmp_path):
    with pytest.raises(ValueError, match="is a detector, and the data has images sorted by class$"):
        fit(detector, TRAIN, VAL, tmp_path / "run", Recipe())
    with pytest.raises(ValueError, match="^the model has 4 classes, the data has 3$"):
        fit_tiny(tmp_path / "run", tiny(classes=4))
    with pytest.raises(ValueError, match="^train and val must have the same classes"):
        fit(tiny(), TRAIN, colours(9, tuple("abc")), tmp_path / "run", Recipe())
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_the_last_epochs_get_other_batches(tmp_path, monkeypatch):
    asked = []

    def batches(self, batch_size, start_step):
        asked.append((start_step, self.recipe.augment_of(start_step // 6)["flip"]))
        return given(self, batch_size, start_step)

    given = Task.training_batches
    monkeypatch.setattr(Task, "training_batches", batches)
    recipe = dict(augment={"flip": 0.5}, last_epochs=1, last_augment={"flip": 0.0})
    fit_tiny(tmp_path, epochs=5, **recipe)
    assert asked == [(0, 0.5), (24, 0.0)]


@pytest.mark.integration
def test_a_run_is_replaced_on_demand_alone(tmp_path):
    fit_tiny(tmp_path, epochs=2)
    with pytest.raises(FileExistsError, match="holds a run already"):
        fit_tiny(tmp_path, epochs=1)
    rows = fit(tiny(), TRAIN, VAL, tmp_path, Recipe(**PLAIN | dict(epochs=1)), overwrite=True)
    assert [row["epoch"] for row in rows] == [1]


@pytest.mark.integration
def test_a_state_of_an_older_version_is_refused(tmp_path):
    fit_tiny(tmp_path, epochs=1)
    last = tmp_path / "last.npz"
    with np.load(last) as state:
        arrays = dict(state)
    whole = json.loads(str(arrays["meta"]))
    for name in ("step", "steps", "rows", "run"):
        meta = {key: value for key, value in whole.items() if key != name}
        np.savez(last, **arrays | {"meta": json.dumps(meta)})
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        model = tiny()
        weights = model.get_weights()
        for size in (4, "auto"):
            recipe = Recipe(**PLAIN | dict(batch_size=size))
            with pytest.raises(ValueError, match=f"^{last}: can't be resumed, it lacks a valid {name}; .* --overwrite"):
                fit(model, TRAIN, VAL, tmp_path, recipe, resume=True)
        assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.integration
def test_what_else_cannot_be_resumed(tmp_path):
    fit_tiny(tmp_path, epochs=1, ema=0.9)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sgd = Recipe(**PLAIN | dict(ema=0.9, optimizer="sgd"))
    with pytest.raises(ValueError, match=f"^{tmp_path}/last.npz: holds another optimizer's arrays \\("):
        fit(tiny(), TRAIN, VAL, tmp_path, sgd, resume=True)
    (tmp_path / "best.npz").unlink()
    with pytest.raises(FileNotFoundError, match=f"^{tmp_path}/best.npz: missing, expected the best weights of the run"):
        fit(tiny(), TRAIN, VAL, tmp_path, Recipe(**PLAIN | dict(ema=0.9)), resume=True)
    del before["best.npz"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
