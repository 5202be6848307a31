"""The tasks' losses and metrics."""

import keras
import numpy as np
import pytest
from tiny_classifier import TRAIN, VAL, tiny

from cspkeras.training import ClassificationData, LabelledImage, Recipe
from cspkeras.training.run.tasks import Classification, cross_entropy, task_of


def test_the_cross_entropy():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 3)).astype("float32"), np.array([0, 2, 2, 1])
    wanted = np.eye(3, dtype="float32")[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    smooth = wanted * 0.7 + 0.1
    expected = -(smooth * np.log(p)).sum(axis=1) * np.array([1, 2, 3])[labels]
    options = dict(label_smoothing=0.3, class_weights=[1, 2, 3])
    np.testing.assert_allclose(cross_entropy(3, "logits", **options)(wanted, logits), expected, rtol=1e-5)
    np.testing.assert_allclose(cross_entropy(3, "softmax", **options)(wanted, p), expected, rtol=1e-5)


def test_the_cross_entropy_of_sigmoids():
    rng = np.random.default_rng(0)
    p, wanted = rng.random((4, 3)).astype("float32"), np.eye(3, dtype="float32")[[0, 2, 2, 1]]
    expected = -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(cross_entropy(3, "sigmoid")(wanted, p), expected, rtol=1e-4)
    one, two = p[:, :1], np.eye(2, dtype="float32")[[0, 1, 1, 0]]
    expected = -np.log(np.where([[0], [1], [1], [0]], one, 1 - one))[:, 0]
    np.testing.assert_allclose(cross_entropy(2, "sigmoid")(two, one), expected, rtol=1e-4)
    logit = np.log(one / (1 - one))
    np.testing.assert_allclose(cross_entropy(2, "logits")(two, logit), expected, rtol=1e-4)


@pytest.mark.integration
@pytest.mark.parametrize("first", [None, keras.layers.Rescaling(1 / 255)])
def test_training_batches_come_in_the_range_that_the_model_takes(first):
    image = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(first(image) if first else image)
    task = task_of(keras.Model(image, keras.layers.Dense(3)(x)), TRAIN, VAL, Recipe())
    images, labels = next(iter(task.training_batches(8, 0)))
    assert 100 < images.numpy().max() <= 255 if first else 0.5 < images.numpy().max() <= 1
    calibration = np.concatenate(list(task.calibration_images(task.model, TRAIN, 5, pixels=task.pixels)))
    assert calibration.shape == (5, 8, 8, 3) and (calibration.max() > 1) == bool(first)


def test_top_1_and_top_5():
    model = tiny(None, classes=7)
    data = ClassificationData([LabelledImage(np.zeros((8, 8, 3), "uint8"), i) for i in range(7)], tuple("abcdefg"))
    task = task_of(model, data, data, Recipe())
    model.predict_on_batch = lambda x: np.tile(np.float32([5, 1, 4, 2, 3, 0, 0]), (len(x), 1))
    measured = task.measure()
    assert measured["val_top1"] == pytest.approx(1 / 7) and measured["val_top5"] == pytest.approx(5 / 7)
    model.predict_on_batch = lambda x: np.full((len(x), 7), np.nan, "float32")
    assert task.measure()["val_top1"] == task.measure()["val_top5"] == 0


def test_a_classifier_maps_images_to_classes():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match="^a classifier must map \\(N, height, width, 3\\) to \\(N, classes\\)"):
        Classification(model, TRAIN, VAL, Recipe())
