"""What a Keras user does with any model, done with what `quantize_aware` gives: a classifier and a detector."""

import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import callbacks, layers
from small_networks import shallow_detector

from cspkeras.precision import policy
from cspkeras.saving import exporter, load_detector, load_network
from cspkeras.tflite import convert
from cspkeras.training import calibrate, quantize_aware
from cspkeras.training.quantization.aware import QuantizedDetector, quantizers_of

IMAGES = {size: np.random.default_rng(0).random((4, size, size, 3), "float32") for size in (16, 64)}
BOXES = np.tile(np.float32([0.1, 0.1, 0.5, 0.6]), (4, 1, 1))
KINDS = {  # the model, images and targets, and what `compile` is given
    "classifier": (keras.Model, (IMAGES[16], np.arange(4) % 3), {"loss": "sparse_categorical_crossentropy"}),
    "detector": (QuantizedDetector, (IMAGES[64], {"boxes": BOXES, "labels": np.zeros((4, 1), "int32")}), {}),
}
each = pytest.mark.parametrize("kind", KINDS)
pytestmark = pytest.mark.integration


def floats(kind):
    """A float model: for the classifier most ways in which an output is rounded, dropout among them."""
    keras.utils.set_random_seed(0)
    if kind == "detector":
        return shallow_detector(classes=("a", "b", "c"), width=8)
    x = image = keras.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False, name="first")(x))
    x = layers.Activation("silu")(x)
    x = layers.Concatenate()([x, layers.LeakyReLU(0.1)(layers.SeparableConv2D(4, 3, padding="same")(x))])
    x = layers.GlobalAveragePooling2D()(layers.Dropout(0.3)(x))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name="tiny")


def quantized(kind):
    return quantize_aware(floats(kind))


@cache
def calibrated(kind):
    """One that no test may change."""
    return calibrate(quantized(kind), [KINDS[kind][1][0]])


def compiled(kind, model=None, optimizer="sgd", **options):
    """A compiled one; the detector's few steps are done without a graph, which takes longer to make."""
    model = model or quantized(kind)
    model.compile(optimizer, run_eagerly=kind == "detector", **{**KINDS[kind][2], **options})
    return model


def fit(kind, model, **options):
    return model.fit(*KINDS[kind][1], **{"batch_size": 2, "verbose": 0, **options}).history


def outputs(kind, model):
    return [np.asarray(x) for x in keras.tree.flatten(model(KINDS[kind][1][0]))]


def assert_same(kind, model, other):
    assert isinstance(model, KINDS[kind][0])
    for one, two in zip(outputs(kind, model), outputs(kind, other), strict=True):
        np.testing.assert_array_equal(one, two)


@each
def test_it_takes_keras_callbacks(kind, tmp_path):
    given = [
        callbacks.EarlyStopping("loss", patience=1, min_delta=1e9, restore_best_weights=True),
        callbacks.ModelCheckpoint(tmp_path / "best.keras", "val_loss", save_best_only=True),
        callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate),
        callbacks.ReduceLROnPlateau("loss", 0.1, patience=1, min_delta=1e9),
        callbacks.TensorBoard(tmp_path / "board"),
        callbacks.CSVLogger(tmp_path / "rows.csv"),
    ]
    model = compiled(kind, optimizer=keras.optimizers.AdamW(0.02))
    history = fit(kind, model, epochs=5, validation_data=KINDS[kind][1], callbacks=given)
    assert len(history["loss"]) == 2 and np.isfinite([history["loss"], history["val_loss"]]).all()
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02 * 0.5 * 0.5 * 0.1)
    first = quantized(kind)
    first.load_weights(tmp_path / "1.weights.h5")
    assert_same(kind, model, first)  # which was restored
    best = keras.saving.load_model(tmp_path / "best.keras")
    assert best.evaluate(*KINDS[kind][1], verbose=0, return_dict=True)["loss"] == pytest.approx(
        min(history["val_loss"])
    )
    assert list((tmp_path / "board" / "train").iterdir()) and len((tmp_path / "rows.csv").read_text().splitlines()) == 3


@each
def test_it_learns(kind):
    rate = keras.optimizers.schedules.CosineDecay(0.01, 8)
    model, metrics = None, [keras.metrics.SparseCategoricalAccuracy("right")] if kind == "classifier" else None
    model = compiled(kind, optimizer=keras.optimizers.Adam(rate), metrics=metrics)
    data = tf.data.Dataset.from_tensor_slices(KINDS[kind][1]).batch(2)
    history = model.fit(data, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", *(metric.name for metric in metrics or ())}
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
    assert all(quantizer.seen for quantizer in quantizers_of(model))


@each
def test_a_saved_one_continues_where_it_was(kind, tmp_path):
    model = compiled(kind, optimizer=keras.optimizers.Adam(1e-3))
    fit(kind, model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(kind, loaded, model)
    assert fit(kind, loaded, shuffle=False)["loss"] == pytest.approx(fit(kind, model, shuffle=False)["loss"], rel=1e-5)
    assert int(loaded.optimizer.iterations) == 4
    for one, two in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-6)


FRESH = """
import sys
import keras
import numpy as np
import cspkeras
model, folder = keras.saving.load_model(sys.argv[1] + "/model.keras"), sys.argv[1]
for i, x in enumerate(keras.tree.flatten(model(np.load(folder + "/images.npy")))):
    np.save(f"{folder}/{i}.npy", x)
from cspkeras.tflite import convert
convert(model, folder + "/fresh.tflite", "int8")
"""


@pytest.mark.slow
@each
def test_it_is_loaded_in_another_process(kind, tmp_path):
    model = calibrated(kind)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", KINDS[kind][1][0])
    subprocess.run([sys.executable, "-c", FRESH, str(tmp_path)], check=True, stderr=subprocess.DEVNULL)
    for i, expected in enumerate(outputs(kind, model)):
        np.testing.assert_array_equal(np.load(tmp_path / f"{i}.npy"), expected)
    here = convert(model, tmp_path / "here.tflite", "int8")
    assert here.read_bytes() == (tmp_path / "fresh.tflite").read_bytes()


def loaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


COPIES = {
    "loaded": loaded,
    "cloned": lambda model, _: keras.models.clone_model(model),
    "from its configuration": lambda model, _: type(model).from_config(model.get_config()),
    "exported": lambda model, folder: exporter(model)(folder / "model.keras") or load_network(folder / "model.keras"),
}


@each
@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("precision", ("float32", "mixed_float16"))  # of Keras at that time
def test_copies_compute_the_same(kind, copy, precision, tmp_path):
    model = calibrated(kind)
    with policy(precision):
        made = COPIES[copy](model, tmp_path)
        if copy in ("cloned", "from its configuration"):
            assert not any(quantizer.seen for quantizer in quantizers_of(made) if not quantizer.fixed)
            made.set_weights(model.get_weights())
        assert_same(kind, made, model)
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    if kind == "detector":
        assert (made.class_names, made.anchors) == (model.class_names, model.anchors)
        for one, two in zip(made.detect(IMAGES[64], 0), model.detect(IMAGES[64], 0), strict=True):
            np.testing.assert_array_equal(one["boxes"], two["boxes"])


def test_a_file_of_it_is_one_of_a_detector(tmp_path):
    calibrated("detector").save(tmp_path / "q.keras")
    assert load_detector(tmp_path / "q.keras").class_names == ("a", "b", "c")


@each
@pytest.mark.parametrize("precision", ("mixed_float16", "mixed_bfloat16"))
def test_under_mixed_precision_it_computes_in_single(kind, precision):
    with policy(precision):
        model = floats(kind)
        made = quantize_aware(model)
        model.set_weights(floats(kind).get_weights())
        made = calibrate(quantize_aware(model), [KINDS[kind][1][0]])
        assert {part.compute_dtype for part in (made, *made.layers, *quantizers_of(made))} == {"float32"}
        assert_same(kind, made, calibrated(kind))
        loss = fit(kind, compiled(kind, made), shuffle=False)["loss"]
    assert np.isfinite(loss).all() and {x.dtype.name for x in outputs(kind, made)} == {"float32"}


@each
def test_frozen_layers_stay_as_they_are(kind):
    model = quantized(kind)
    half = [layer for layer in model.layers if layer.weights][: len(model.layers) // 3]
    for layer in half:
        layer.trainable = False
    before = {id(weight): np.asarray(weight) for weight in model.weights}
    fit(kind, compiled(kind, model, "sgd"))
    kept = {id(weight) for layer in half for weight in layer.weights}
    for weight in model.weights:
        assert id(weight) not in kept or np.array_equal(weight, before[id(weight)]), weight.path
    assert any(not np.array_equal(weight, before[id(weight)]) for weight in model.weights)
    model.trainable = False
    assert not model.trainable_weights


@each
def test_its_summary_names_the_layers(kind):
    lines = []
    calibrated(kind).summary(line_length=200, print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert all(f"{layer.name} " in text for layer in calibrated(kind).layers)


@each
def test_it_is_not_quantized_twice(kind):
    model = calibrated(kind)
    with pytest.raises(ValueError, match=f"^{model.name}: quantize_aware made it already; train, calibrate or convert"):
        quantize_aware(model)
