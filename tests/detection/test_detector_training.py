"""The Detector with the habits of Keras' users: fit, metrics, weights of images, clones, files."""

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_networks import shallow_detector

from cspkeras.detection import Detector
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.losses import YoloLoss

IMAGES = np.random.default_rng(0).random((4, 64, 64, 3), "float32")
BOXES = np.tile(np.float32([[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.8]]), (4, 1, 1))
LABELS = np.array([[0, 1], [2, -1], [1, 1], [0, 2]])
WEIGHTS = np.float32([1, 0, 2, 1])
TARGET = {"boxes": BOXES, "labels": LABELS}


@keras.saving.register_keras_serializable("test_detector_training")
class Objects(keras.metrics.Metric):
    """The number of objects, each as its image weighs, and whether the raw heads come too."""

    def __init__(self, name="objects", **options):
        super().__init__(name=name, **options)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, target, heads, sample_weight=None):
        assert [head.shape[1:] for head in heads] == [(4, 4, 24), (2, 2, 24)]
        real = keras.ops.cast(target["labels"] >= 0, "float32")
        if sample_weight is not None:
            real = real * sample_weight[:, None]
        self.total.assign_add(keras.ops.sum(real))

    def result(self):
        return keras.ops.convert_to_tensor(self.total)


@keras.saving.register_keras_serializable("test_detector_training")
def first_label(target, heads):
    return keras.ops.mean(keras.ops.cast(target["labels"][:, 0], "float32"))


def compiled(**options):
    keras.utils.set_random_seed(0)
    model = shallow_detector()
    goals = dict(metrics=[Objects(), first_label], weighted_metrics=[Objects("weighted")])
    model.compile(keras.optimizers.SGD(0.125), **goals, **options)
    return model


def dataset(boxes=BOXES):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((IMAGES, {"boxes": boxes, "labels": LABELS}, WEIGHTS)).batch(2)


@pytest.fixture(scope="module")
def model():
    return compiled(loss=YoloLoss(shallow_detector().anchors, 3, box="mse"), run_eagerly=True)  # tracing takes longer


@pytest.mark.integration
def test_metrics_stand_in_the_logs_and_weights_count(model):
    history = model.fit(
        IMAGES,
        TARGET,
        batch_size=2,
        sample_weight=WEIGHTS,
        epochs=2,
        verbose=0,
        validation_data=dataset(),
        callbacks=[keras.callbacks.EarlyStopping("val_objects", patience=5, mode="max")],
    ).history
    figures = {"objects": 7.0, "weighted": 8.0, "first_label": 0.75}  # of 2 + 1 + 2 + 2 objects
    for name, value in figures.items():
        assert history[name] == history[f"val_{name}"] == [value, value]
    assert history["loss"][1] != history["loss"][0] and len(history["val_loss"]) == 2
    found = model.evaluate(IMAGES, TARGET, batch_size=4, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    again = [0, 2, 2, 3]
    repeated = {key: value[again] for key, value in TARGET.items()}
    expected = model.evaluate(IMAGES[again], repeated, batch_size=4, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert found["loss"] != pytest.approx(model.evaluate(IMAGES, TARGET, batch_size=4, verbose=0)[0], rel=1e-3)
    none = model.test_on_batch(IMAGES, TARGET, np.zeros(4), return_dict=True)
    assert none["loss"] == none["weighted"] == 0


@pytest.mark.integration
def test_what_fit_refuses_it_refuses_in_one_line(model):
    before = model.get_weights()
    pixels = {"boxes": BOXES * 64, "labels": LABELS}
    late = BOXES * np.float32([1, 1, 1, 64])[:, None, None]  # the last image's
    for data in (
        (IMAGES, pixels),
        (dataset(BOXES * 64),),
        (iter_of((IMAGES, pixels)),),
        (IMAGES, TARGET, None, (IMAGES, pixels)),
    ):
        names = ("x", "y", "sample_weight", "validation_data")
        with pytest.raises(ValueError, match=r"^boxes must be .* Received: \[6.4, 12.8, 32.0, 38.4.*\] of image 0$"):
            model.fit(**dict(zip(names, data, strict=False)), verbose=0)
    for method in (model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"^boxes must be .* of image 0$"):
            method(IMAGES, pixels)
    for after, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(after, value)
    with pytest.raises(ValueError, match=r"^boxes must be .* of image 1$"):  # of the second batch
        model.fit(dataset(late), verbose=0)
    with pytest.raises(ValueError, match=r"^class_weight: .*class_weights=\[...\]\)\). Received: {0: 2.0}$"):
        model.fit(IMAGES, TARGET, class_weight={0: 2.0})


def iter_of(*batches):
    yield from batches


def test_one_loss_has_no_weight_of_its_own(detector):
    with pytest.raises(ValueError, match=r"^loss_weights: a detector has one loss, which weighs its parts, as loss="):
        detector.compile(loss_weights=[1, 2])


@pytest.mark.parametrize(
    ("anchors", "classes", "parts"),
    [
        (Anchors.published((64, 64), (16, 32)), "as compile(loss=YoloLoss(", "as loss=YoloLoss("),
        (Anchors.distances((64, 64)), "as compile(loss=RTMDetLoss(", "as loss=RTMDetLoss("),
        (Anchors.free((64, 64)), "and YoloXLoss, the loss of this one, has none.", "as loss=YoloXLoss("),
    ],
    ids=lambda value: getattr(value, "coding", ""),
)
def test_weights_belong_to_the_loss_that_suits_the_anchors(detector, monkeypatch, anchors, classes, parts):
    monkeypatch.setattr(detector, "anchors", anchors)
    with pytest.raises(ValueError, match=f"^class_weight: .* in its loss, {re.escape(classes)}"):
        detector.fit(IMAGES, TARGET, class_weight={0: 2.0})
    with pytest.raises(ValueError, match=f"^loss_weights: .* {re.escape(parts)}"):
        detector.compile(loss_weights=[1, 2])


@pytest.mark.integration
def test_the_loss_alone_refuses_sizes_that_contradict(model):
    heads = model.predict_on_batch(IMAGES)
    with pytest.raises(ValueError, match=r"^labels must be \(N, M\), N and M the same in all. Received: boxes "):
        model.compute_loss(None, {"boxes": BOXES, "labels": LABELS[:, :1]}, heads)


def same_outputs(a, b):
    for x, y in zip(keras.tree.flatten(a(IMAGES)), keras.tree.flatten(b(IMAGES)), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.integration
@pytest.mark.parametrize("clone", ["plain", "compiled", "of a clone"])
def test_a_clone_is_a_detector(clone, model, tmp_path):
    source = shallow_detector(classes=["a", "b", "c"]) if clone == "plain" else model
    cloned = keras.models.clone_model(source)
    if clone == "of a clone":
        cloned = keras.models.clone_model(cloned)
    assert type(cloned) is Detector and cloned.compiled == source.compiled
    assert cloned.get_config() == source.get_config()
    assert not np.array_equal(cloned.get_weights()[0], source.get_weights()[0])
    cloned.set_weights(source.get_weights())
    same_outputs(cloned, source)
    same_outputs(cloned.backbone, source.backbone)
    assert (cloned.class_names, cloned.anchors) == (source.class_names, source.anchors)
    cloned.save(tmp_path / "clone.keras")
    same_outputs(keras.saving.load_model(tmp_path / "clone.keras"), source)


@pytest.mark.integration
def test_a_file_keeps_the_loss_and_the_metrics(model, tmp_path):
    model.save(tmp_path / "detector.keras")
    loaded = keras.saving.load_model(tmp_path / "detector.keras")
    found, expected = (
        one.evaluate(IMAGES, TARGET, sample_weight=WEIGHTS, verbose=0, return_dict=True) for one in (loaded, model)
    )
    assert found == pytest.approx(expected, rel=1e-5) and {"objects", "weighted", "first_label"} < set(found)


@pytest.mark.integration
def test_compiled_anew_it_forgets_the_metrics(model):
    again = keras.models.clone_model(model)
    again.compile("sgd")
    assert [metric.name for metric in again.metrics] == ["loss"]


JAX = """
import json
import numpy as np
from test_detector_training import BOXES, IMAGES, TARGET, WEIGHTS, compiled
model = compiled()
history = model.fit(IMAGES, TARGET, batch_size=2, sample_weight=WEIGHTS, verbose=0).history
found = [model.test_on_batch(IMAGES, TARGET, WEIGHTS)[0]]
again = [0, 2, 2, 3]
found.append(model.test_on_batch(IMAGES[again], {key: value[again] for key, value in TARGET.items()})[0])
try:
    model.fit(IMAGES, {**TARGET, "boxes": BOXES * 64}, verbose=0)
except ValueError as error:
    print(json.dumps([history, [float(x) for x in found], str(error)]))
"""


@pytest.mark.slow
def test_jax_does_the_same():
    code = "import sys; sys.modules['tensorflow'] = None\n" + JAX
    here = os.pathsep.join([os.path.dirname(__file__), os.environ["PYTHONPATH"]])
    settings = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings, "PYTHONPATH": here},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    history, (weighted, repeated), message = json.loads(done.stdout.splitlines()[-1])
    assert (history["objects"], history["weighted"], history["first_label"]) == ([7.0], [8.0], [0.75])
    assert weighted == pytest.approx(repeated, rel=1e-5)
    assert message.startswith("boxes must be x1, y1, x2, y2 in parts of the input")


REPLICAS = """
import keras, tensorflow as tf
import quick_graphs
from test_detector_training import BOXES, compiled, dataset
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = compiled()
twice = lambda boxes: dataset(boxes).unbatch().repeat(2).batch(8)  # each half has all images once
print(model.evaluate(twice(BOXES), verbose=0, return_dict=True)["loss"])
try:
    model.fit(twice(BOXES * 64), verbose=0)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="is about TensorFlow")
def test_two_replicas_do_the_same():
    here = os.pathsep.join([os.path.dirname(__file__), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], env={**os.environ, "PYTHONPATH": here}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loss, message = done.stdout.splitlines()[-2:]
    expected = compiled().evaluate(IMAGES, TARGET, batch_size=4, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    assert float(loss) == pytest.approx(expected["loss"], rel=1e-4)
    assert message.startswith("boxes must be x1, y1, x2, y2 in parts of the input")
