"""The optimizers of a recipe."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_classifier import fit_tiny, tiny

from cspkeras.training import Recipe, quantize_aware
from cspkeras.training.recipes.optimizers import make_optimizer


@pytest.mark.parametrize("prepared", (lambda model: model, quantize_aware), ids=("floats", "quantized"))
@pytest.mark.parametrize("name", ("adamw", "sgd"))
def test_norms_and_biases_do_not_decay(name, prepared):
    model = prepared(tiny())
    weights = model.trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    made = make_optimizer(model, Recipe(optimizer=name, learning_rate=0.1, weight_decay=0.5))
    made.build(weights)
    made.apply_gradients([(tf.zeros(weight.shape), weight) for weight in weights])
    for weight in weights:
        np.testing.assert_allclose(weight, 0.95 if "kernel" in weight.name else 1.0, rtol=1e-6)


@pytest.mark.integration
def test_accumulated_gradients_are_those_of_a_larger_batch(tmp_path):
    options = dict(optimizer="sgd", epochs=1, learning_rate=0.1, augment={"flip": 0.0}, schedule="constant")

    def first_step(name, **more):
        model = tiny()
        model.get_layer("stage1_bn").trainable = False  # its statistics are a batch's
        fit_tiny(tmp_path / name, model, **options, **more)
        return model.get_weights()

    for a, b in zip(first_step("a", batch_size=24), first_step("b", batch_size=8, accumulate=3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
