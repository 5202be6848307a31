"""Quantization-aware models trained, of every layer saved and cloned, and of other precisions."""

import keras
import numpy as np
import pytest
from every_layer import IMAGES, known, lively, model_of
from keras import layers
from small_networks import shallow_detector

from cspkeras.precision import policy
from cspkeras.saving import load_model
from cspkeras.tflite import convert
from cspkeras.tflite.runtime import litert
from cspkeras.training import calibrate, quantize_aware, refine
from cspkeras.training.quantization import aware
from cspkeras.training.quantization.aware import QuantizedDetector, quantizers_of

LABELS = np.arange(len(IMAGES)) % 3


def classifier():
    keras.utils.set_random_seed(0)
    image = layers.Input(IMAGES.shape[1:], name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2)(image)))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(layers.Activation("mish")(layers.Conv2D(8, 3)(x))))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="kinds")(x), name="mine")


def answers(model):
    return keras.ops.convert_to_numpy(model(IMAGES, training=False))


@pytest.mark.integration
def test_what_was_trained_is_what_the_file_computes(tmp_path):
    quantized = quantize_aware(classifier())
    quantized.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    quantized.fit(IMAGES, LABELS, batch_size=4, epochs=9, verbose=0)
    run = litert.run_cpu(convert(quantized, tmp_path / "x.tflite", "int8", strict=True), IMAGES)
    assert np.abs(run.outputs["kinds"][:, 0] - answers(quantized)).max() < 4 / 255


@pytest.mark.integration
def test_training_moves_ranges_and_weights_and_evaluation_none():
    quantized = quantize_aware(classifier())
    quantized.compile("sgd", "sparse_categorical_crossentropy")

    def state():
        return [np.array(weight) for weight in quantized.weights], [q.steps() for q in quantizers_of(quantized)]

    before = state()
    quantized.evaluate(IMAGES, LABELS, batch_size=4, verbose=0)
    assert state()[1] == before[1]
    quantized.fit(IMAGES, LABELS, batch_size=4, verbose=0)
    weights, ranges = state()
    moving = [i for i, quantizer in enumerate(quantizers_of(quantized)) if not quantizer.fixed]
    assert all(ranges[i] != before[1][i] for i in moving) and len(moving) > 5
    assert all(quantizer.seen for quantizer in quantizers_of(quantized))
    kernels = [i for i, weight in enumerate(quantized.weights) if weight.name == "kernel"]
    assert all(np.any(weights[i] != before[0][i]) for i in kernels)


@pytest.fixture(scope="module")
def all_layers():
    return calibrate(quantize_aware(model_of(known)), [IMAGES])


def same_answers(model, other):
    found, wanted = model(IMAGES[:2]), other(IMAGES[:2])
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.integration
def test_every_known_layer_comes_back_from_its_file(all_layers, tmp_path):
    all_layers.save(tmp_path / "all.keras")
    loaded = keras.saving.load_model(tmp_path / "all.keras")
    same_answers(loaded, all_layers)


@pytest.mark.integration
def test_every_known_layer_is_cloned(all_layers):
    cloned = keras.models.clone_model(all_layers)
    cloned.set_weights(all_layers.get_weights())
    same_answers(cloned, all_layers)


@pytest.mark.parametrize("trained_in", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_model_of_another_precision_is_quantized_in_float32(trained_in):
    with policy(trained_in):
        model = lively(classifier())
    quantized = calibrate(quantize_aware(model), [IMAGES])
    assert {layer.compute_dtype for layer in quantized.layers} == {"float32"}
    assert 0 < np.abs(answers(quantized) - answers(model)).max() < 0.03


@pytest.mark.slow
def test_a_quantized_detector_trains_detects_and_comes_back(tmp_path):
    quantized = quantize_aware(shallow_detector())
    quantized.compile("adam")
    images = np.random.default_rng(0).uniform(0, 1, (4, 64, 64, 3)).astype("float32")
    boxes = np.tile(np.float32([[0.1, 0.2, 0.5, 0.6], [0, 0, 0, 0]]), (4, 1, 1))
    target = {"boxes": boxes, "labels": np.tile(np.int32([1, -1]), (4, 1))}
    losses = quantized.fit(images, target, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    quantized.save(tmp_path / "q.keras")
    picture = (images[0] * 255).astype("uint8")
    for model in (quantized, load_model(tmp_path / "q.keras", "the model")):
        assert isinstance(model, QuantizedDetector) and model.class_names == quantized.class_names
        (found,) = model.detect([picture], score_threshold=0.0)
        assert found["boxes"].shape[1] == 4 and len(found["boxes"]) == len(found["scores"]) > 0


def test_calibration_finds_the_same_ranges_with_a_graph_and_without(monkeypatch):
    found = []
    for untraced in (0, len(IMAGES)):
        monkeypatch.setattr(aware, "UNTRACED", untraced)
        quantized = calibrate(quantize_aware(classifier()), IMAGES[:, None])
        found.append([quantizer.steps() for quantizer in quantizers_of(quantized)])
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_refinement_on_another_backend(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="^refine needs .* KERAS_BACKEND=tensorflow. Received: backend 'jax'$"):
        refine(None, None, [])
