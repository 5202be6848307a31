"""One training step of each small network, on either backend: what test_backends.py compares."""

from pathlib import Path

import keras
import numpy as np
from small_networks import shallow_detector, small_backbone, small_detector

from cspkeras.training import quantize_aware

DETECTOR, QUANTIZED = "Detector", "QuantizedDetector"
DETECTORS = DETECTOR, QUANTIZED
# Of each family the one that has the layers of the others, and more.
BACKBONES = (
    *("CSPPeleeNet", "CSPResNeXt50Elastic", "CSPDarknet53", "CSPDenseNet201", "CSPDenseNet201Elastic"),
    "CSPMobileNetV2",
)
EACH = *BACKBONES, *DETECTORS
BOXES = [[[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9]], [[0.3, 0.3, 0.36, 0.38], [0, 0, 0, 0]]]
TARGETS = {"boxes": np.array(BOXES, "float32"), "labels": np.array([[0, 1], [2, -1]], "int32")}


def build(name):
    """A classifier that gives logits of 3 classes, or a detector of as many."""
    if name in DETECTORS:
        return small_detector() if name == DETECTOR else quantize_aware(shallow_detector())
    return small_backbone(name, classifier_activation=None)


def images():
    return np.random.default_rng(0).random((2, 64, 64, 3), "float32")


def outputs(function):
    """The outputs for `images`, as one array in single precision."""
    maps = keras.tree.flatten(function(keras.ops.convert_to_tensor(images())))
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(x)).astype("float32") for x in maps])


def train(model, name, optimizer, **options):
    """The loss and the weights' changes, as one array, of a training step on `images`."""
    target, loss = np.array([0, 2]), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if name in DETECTORS:
        target, loss = TARGETS, None
    optimizer.build(model.trainable_weights)  # now, or the step would be traced twice
    model.compile(optimizer, loss, **options)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    history = model.fit(images(), target, batch_size=2, verbose=0).history
    changes = [keras.ops.convert_to_numpy(w) - old for w, old in zip(model.trainable_weights, before, strict=True)]
    return history["loss"][0], np.concatenate([np.ravel(change) for change in changes])


def jax_side(folder):
    """Write what `test_jax_gives_and_learns_the_same` compares with, as {network's name}.npz."""
    # The weights come from files; random ones first would be compiled anew for each shape.
    keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None, **_: np.zeros(shape, dtype)
    for name in EACH:
        model = build(name)
        model.load_weights(Path(folder, f"{name}.weights.h5"))
        given = outputs(model.predict_on_batch)
        loss, step = train(model, name, keras.optimizers.SGD(0.01))
        np.savez(Path(folder, name), outputs=given, loss=loss, step=step)
