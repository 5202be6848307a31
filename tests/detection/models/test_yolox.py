"""YOLOX as detectors: their figures, their .keras file, their loss."""

import keras
import numpy as np
import pytest

from cspkeras.backbones import pyramid
from cspkeras.detection import Detector
from cspkeras.detection.losses.yolox import YoloXLoss
from cspkeras.detection.models import yolox

SMALL = yolox.YoloxSpec(8, 1, True)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return yolox.build(SMALL, classes=["a", "b", "c"], input_shape=(64, 96, 3), name="small")


@pytest.mark.parametrize("name", yolox.VARIANTS)
def test_parameters_are_those_that_its_authors_state(name):
    published = yolox.VARIANTS[name].published
    assert published.trainable / 1e6 == pytest.approx(published.params, abs=0.05)


def test_its_maps_and_name():
    model = yolox.YOLOXTiny(input_shape=(64, 64, 3))
    assert [head.shape[1:] for head in model.outputs] == [(8, 8, 85), (4, 4, 85), (2, 2, 85)]
    assert model.name == "yoloxtiny"


@pytest.mark.integration
def test_the_backbone_gives_its_pyramid(model):
    shapes = {level: x.shape[1:] for level, x in pyramid(model.backbone).items()}
    assert shapes == {"P2": (16, 24, 16), "P3": (8, 12, 32), "P4": (4, 6, 64), "P5": (2, 3, 128)}


@pytest.mark.integration
def test_its_file_keeps_everything_and_loads_in_safe_mode(model, tmp_path):
    model.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras", safe_mode=True)
    assert type(loaded) is Detector and loaded.anchors == model.anchors and loaded.class_names == ("a", "b", "c")
    x = np.random.default_rng(0).random((1, 64, 96, 3), "float32")
    for found, expected in zip(loaded(x, training=False), model(x, training=False), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.integration
def test_a_darknet_file_is_an_error(tmp_path):
    path = tmp_path / "x.weights"
    path.write_bytes(bytes(100))
    with pytest.raises(ValueError, match="heads of one convolution per level. Received: small with other heads"):
        yolox.build(SMALL, classes=2, input_shape=(64, 64, 3), weights=path, name="small")


@pytest.mark.integration
def test_training_lowers_its_own_loss(model):
    before = model.get_weights()
    x = np.random.default_rng(0).random((2, 64, 96, 3), "float32")
    target = {"boxes": np.float32([[[0.1, 0.2, 0.5, 0.6]]] * 2), "labels": np.array([[1], [2]])}
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    expected = YoloXLoss(model.anchors, 3)(target, model(x, training=True))
    losses = [model.train_on_batch(x, target) for _ in range(6)]  # a new assignment may raise it for a step
    model.set_weights(before)
    assert losses[0] == pytest.approx(float(expected), rel=1e-3)
    assert losses[-1] < 0.99 * losses[0]
