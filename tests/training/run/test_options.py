"""What a recipe can ask for, on a classifier small enough for a test."""

import csv
import itertools
import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from html_page import Page
from small_data import COLORS
from small_networks import small_detector

from cspkeras.precision import policy
from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit
from cspkeras.training.recipes.freezing import frozen
from cspkeras.training.recipes.optimizers import make_optimizer
from cspkeras.training.run import batch_size as batch
from cspkeras.training.run.tasks import Classification, cross_entropy, task_of
from cspkeras.training.run.throughput import Throughput

PALETTE = list(COLORS.values())
PLAIN = dict(epochs=3, batch_size=4, learning_rate=0.05, warmup_epochs=0, weight_decay=0, clip_norm=0)


def tiny(activation="softmax", classes=3):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="stage1_bn")(keras.layers.Conv2D(8, 3, name="stage1_conv")(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(classes, activation, dtype="float32")(x), name="tiny")


def colours(count, names=tuple(COLORS)):
    """Images whose colour is their class."""
    rng = np.random.default_rng(0)
    examples = [
        LabelledImage(np.clip(rng.normal(PALETTE[i % 3], 20, (8, 8, 3)), 0, 255).astype("uint8"), i % 3)
        for i in range(count)
    ]
    return ClassificationData(examples, names)


TRAIN, VAL = colours(24), colours(9)


def run(folder, model=None, **options):
    model = model or tiny()
    return model, fit(model, TRAIN, VAL, folder, Recipe(**PLAIN | options), report=lambda line: None)


@pytest.mark.parametrize("name, activation", (("adamw", "softmax"), ("sgd", None)))
def test_a_classifier_learns(name, activation, tmp_path):
    model, rows = run(tmp_path, tiny(activation), optimizer=name, epochs=12, loss={"label_smoothing": 0.1})
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


def test_the_cross_entropy():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 3)).astype("float32"), np.array([0, 2, 2, 1])
    wanted = np.eye(3, dtype="float32")[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    smooth = wanted * 0.7 + 0.1
    expected = -(smooth * np.log(p)).sum(axis=1) * np.array([1, 2, 3])[labels]
    options = dict(label_smoothing=0.3, class_weights=[1, 2, 3])
    np.testing.assert_allclose(cross_entropy(3, True, **options)(wanted, logits), expected, rtol=1e-5)
    np.testing.assert_allclose(cross_entropy(3, False, **options)(wanted, p), expected, rtol=1e-5)


def test_top_1_and_top_5():
    model = tiny(None, classes=7)
    data = ClassificationData([LabelledImage(np.zeros((8, 8, 3), "uint8"), i) for i in range(7)], tuple("abcdefg"))
    task = task_of(model, data, data, Recipe())
    model.predict_on_batch = lambda x: np.tile(np.float32([5, 1, 4, 2, 3, 0, 0]), (len(x), 1))
    measured = task.measure()
    assert measured["val_top1"] == pytest.approx(1 / 7) and measured["val_top5"] == pytest.approx(5 / 7)
    model.predict_on_batch = lambda x: np.full((len(x), 7), np.nan, "float32")
    assert task.measure()["val_top1"] == task.measure()["val_top5"] == 0


def test_the_averaged_weights_are_measured_and_kept(tmp_path):
    # A rate of nothing in the last epoch's steps but a large one before: the average lags behind.
    model, rows = run(tmp_path, ema=0.99, epochs=1, learning_rate=0.5)
    with np.load(tmp_path / "last.npz") as last, np.load(tmp_path / "best.npz") as best:
        for i, weight in enumerate(model.weights):
            np.testing.assert_array_equal(weight, best[f"weight{i}"])
            np.testing.assert_array_equal(best[f"weight{i}"], last[f"average{i}"])
        assert not np.array_equal(best["weight0"], last["weight0"])


def test_early_stopping(tmp_path):
    model, rows = run(tmp_path, epochs=50, learning_rate=0.0, patience=3)
    assert len(rows) == 4  # the first, and three that are no better
    assert fit(model, TRAIN, VAL, tmp_path, Recipe(**PLAIN | dict(epochs=50, patience=3)), resume=True) == rows


def test_tensorboard(tmp_path):
    run(tmp_path, tensorboard=True, epochs=2)
    (log,) = (tmp_path / "tensorboard").iterdir()
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(log))]
    found = {(value.tag, event.step): value for event in events for value in event.summary.value}
    for tag in ("loss", "val_top1", "learning_rate", "images_per_second"):
        for step in (1, 2):
            assert found[tag, step].metadata.plugin_data.plugin_name == "scalars"
    shown = found["images/1", 2]
    assert shown.metadata.plugin_data.plugin_name == "images"
    width, height, png = tf.make_ndarray(shown.tensor)
    assert (width, height) == (b"8", b"8") and tf.io.decode_png(png).shape == (8, 8, 3)


def test_accumulated_gradients_are_those_of_a_larger_batch(tmp_path):
    options = dict(optimizer="sgd", epochs=1, learning_rate=0.1, augment={"flip": 0.0}, schedule="constant")

    def first_step(name, **more):
        model = tiny()
        model.get_layer("stage1_bn").trainable = False  # its statistics are a batch's
        run(tmp_path / name, model, **options, **more)
        return model.get_weights()

    for a, b in zip(first_step("a", batch_size=24), first_step("b", batch_size=8, accumulate=3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ("mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)))
def test_mixed_precision(precision, tmp_path):
    with policy(precision):
        model = tiny()
    _, rows = run(tmp_path, model, precision=precision, epochs=12)
    assert max(row["val_top1"] for row in rows) > 0.9 and keras.config.dtype_policy().name == "float32"
    loaded = keras.models.load_model(tmp_path / "best.keras")
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}


REFUSED = {
    "precision": (dict(precision="mixed_float16"), "precision mixed_float16: the model was built under float32"),
    "augmentation": (dict(augment={"flips": 1}), "unknown key augment.flips, did you mean augment.flip\\?"),
    "loss": (dict(loss={"smoothing": 1}), "unknown key loss.smoothing, did you mean loss.label_smoothing\\?"),
    "labels smoothed twice": (
        dict(loss={"label_smoothing": 0.1}, augment={"label_smoothing": 0.2}),
        "labels can be smoothed in the loss or in the augmentation. "
        "Received: loss.label_smoothing=0.1, augment.label_smoothing=0.2",
    ),
    "class weights": (dict(loss={"class_weights": [1]}), "class_weights must be 3 numbers of at least 0"),
    "stage": (dict(freeze=2), "freeze must be a stage of tiny. Received: freeze=2"),
    "batch": (dict(batch_size=25), "24 training images do not fill one batch of 25"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_before_anything_is_written(case, tmp_path):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{message}"):
        run(tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


def test_models_and_data_that_do_not_go_together(detector, tmp_path):
    with pytest.raises(ValueError, match="is a detector, and the data has images sorted by class$"):
        fit(detector, TRAIN, VAL, tmp_path / "run", Recipe())
    with pytest.raises(ValueError, match="^the model has 4 classes, the data has 3$"):
        run(tmp_path / "run", tiny(classes=4))
    with pytest.raises(ValueError, match="^train and val must have the same classes"):
        fit(tiny(), TRAIN, colours(9, tuple("abc")), tmp_path / "run", Recipe())
    assert not list(tmp_path.iterdir())


def test_a_run_is_replaced_on_demand_alone(tmp_path):
    run(tmp_path, epochs=2)
    with pytest.raises(FileExistsError, match="holds a run already"):
        run(tmp_path, epochs=1)
    rows = fit(tiny(), TRAIN, VAL, tmp_path, Recipe(**PLAIN | dict(epochs=1)), overwrite=True)
    assert [row["epoch"] for row in rows] == [1]


def test_frozen_stages():
    model = small_detector()
    names = {layer.name for layer in model.layers if layer.trainable_weights}
    with frozen(model, 2):
        still = {layer.name for layer in model.layers if layer.trainable_weights}
    assert names - still == {name for name in names if re.match("stem_|stage1_|stage2_|transition[12]_", name)}
    assert {layer.name for layer in model.layers if layer.trainable_weights} == names
    with pytest.raises(ValueError, match="^freeze must be a stage of .* Received: freeze=9$"), frozen(model, 9):
        pass


def test_frozen_stages_do_not_change(tmp_path):
    model = tiny()
    before = model.get_weights()
    run(tmp_path, model, freeze=1, epochs=2)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [weight.path.startswith("stage1") for weight in model.weights]
    assert all(layer.trainable for layer in keras.models.load_model(tmp_path / "best.keras").layers)


@pytest.mark.parametrize("kind", ("keras", "tf_keras"))
@pytest.mark.parametrize("name", ("adamw", "sgd"))
def test_norms_and_biases_do_not_decay(name, kind):
    if kind == "keras":
        model = tiny()
    else:
        tf_keras = pytest.importorskip("tf_keras")
        layers = [tf_keras.layers.Conv2D(2, 3, input_shape=(8, 8, 3)), tf_keras.layers.BatchNormalization()]
        model = tf_keras.Sequential(layers)
    weights = model.trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    made = make_optimizer(model, Recipe(optimizer=name, learning_rate=0.1, weight_decay=0.5))
    made.build(weights)
    made.apply_gradients([(tf.zeros(weight.shape), weight) for weight in weights])
    for weight in weights:
        np.testing.assert_allclose(weight, 0.95 if "kernel" in weight.name else 1.0, rtol=1e-6)


def test_automatic_batch_sizes(monkeypatch):
    model = tiny()
    data = colours(200)
    task = task_of(model, data, data, Recipe())
    model.compile(optimizer=make_optimizer(model, Recipe()), loss=task.loss())
    model.optimizer.build(model.trainable_variables)
    assert batch.resolve(task) == batch.ON_CPU == 16
    assert batch.resolve(task_of(model, colours(9), data, Recipe())) == 4  # half of the examples

    monkeypatch.setattr(batch, "accelerated", lambda: True)
    before, step, tried = model.get_weights(), model.train_on_batch, []

    def limited(images, target):
        tried.append(len(images))
        if len(images) > 40:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor")
        return step(images, target)

    monkeypatch.setattr(model, "train_on_batch", limited)
    assert batch.resolve(task) == 32 and tried == [8, 16, 32, 64]
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0
    monkeypatch.setattr(model, "train_on_batch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # what is no lack of memory is no answer
        batch.resolve(task)


def test_an_automatic_batch_size_in_a_run(tmp_path):
    _, rows = run(tmp_path, batch_size="auto", epochs=1)
    assert '"batch_size": 12' in (tmp_path / "recipe.json").read_text()
    options = Recipe(**PLAIN | dict(batch_size="auto", epochs=2))
    assert fit(tiny(), TRAIN, VAL, tmp_path, options, resume=True, report=lambda line: None)[:1] == rows


def test_the_speed_is_told_without_the_first_step(monkeypatch):
    clock = itertools.count(step=2)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    throughput = Throughput(batch_size=10)
    throughput.begin()
    assert throughput.figures() == {}
    throughput.step()
    assert throughput.figures() == {"images_per_second": 10 / 2, "data_wait": 0.0}  # there is no other
    throughput._waited = 1.0
    throughput.step()
    throughput.step()
    assert throughput.figures() == {"images_per_second": 2 * 10 / 4, "data_wait": 1 / 4}


def test_measuring_changes_nothing():
    data = tf.data.Dataset.range(5).map(lambda i: (i, {"boxes": 2 * i}))
    throughput = Throughput(1)
    assert [*throughput.timed(data).as_numpy_iterator()] == [(i, {"boxes": 2 * i}) for i in range(5)]
    assert throughput._waited > 0


def test_a_classifier_is_of_pictures_to_classes():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match="^a classifier is of \\(N, height, width, 3\\) to \\(N, classes\\)"):
        Classification(model, TRAIN, VAL, Recipe())
