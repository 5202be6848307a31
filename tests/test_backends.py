"""A network of each family, narrow and shallow, under JAX, compiled by XLA and in half precision."""

import os
import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest
from one_step import DETECTOR, EACH, QUANTIZED, build, images, outputs, train
from quick_xla import XLA_FLAGS

from cspkeras.training import calibrate

MAGNIFIED = 0.9  # error of a step's weights: batch-norms over eight values magnify rounding
DETECTORS_HALF = 1.1  # of `DETECTOR` in half precision: 0.92 on processors without AVX-512, 1.4 of an unrelated step
each = pytest.mark.parametrize("name", EACH)


@pytest.fixture(scope="module", autouse=True)
def quick_xla():
    """`XLA_FLAGS` for TensorFlow's XLA, which reads them when it first compiles, and for JAX's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", XLA_FLAGS)
        yield


@cache
def network(name):
    """`build`, its batch-norms no longer as initialized, for tests that leave it as it is."""
    keras.utils.set_random_seed(0)
    model, rng = build(name), np.random.default_rng(1)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + rng.uniform(-0.3, 0.3, weight.shape))
    return calibrate(model, [images()]) if name == QUANTIZED else model


def assert_close(found, expected, name):
    """Equal but for rounding: within 1e-4 of the range; where 8 bits are rounded to, a few are a step further."""
    differences = np.abs(found - expected) / np.ptp(expected)
    few, step = (0.05, 0.02) if name == QUANTIZED else (0, 1e-4)
    assert np.mean(differences > 1e-4) <= few and differences.max() <= step


@pytest.fixture(scope="module")
def under_jax(tmp_path_factory):
    """The folder that `jax_side` filled, in a process that can't import TensorFlow."""
    folder = tmp_path_factory.mktemp("jax")
    for name in EACH:
        network(name).save_weights(folder / f"{name}.weights.h5")
    code = "import sys; sys.modules['tensorflow'] = None; from one_step import jax_side; jax_side(sys.argv[1])"
    quick = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, **quick, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def copy(name):
    """`network`, for tests that train it."""
    model = build(name)
    model.set_weights(network(name).get_weights())
    return model


@cache
def trained(name):
    """`train` on TensorFlow, operation by operation, in single precision."""
    return train(copy(name), name, keras.optimizers.SGD(0.01), run_eagerly=True)


def error(step, expected):
    """The length of the difference, in parts of what is expected."""
    return np.linalg.norm(step - expected) / np.linalg.norm(expected)


@pytest.mark.slow
@each
def test_jax_gives_and_learns_the_same(name, under_jax):
    found, (loss, step) = np.load(under_jax / f"{name}.npz"), trained(name)
    assert_close(found["outputs"], outputs(network(name)), name)
    roundings = (2e-3, MAGNIFIED) if name == QUANTIZED else (1e-4, 0.05)
    assert found["loss"] == pytest.approx(loss, rel=roundings[0])
    assert error(found["step"], step) < roundings[1]  # they move a value over an activation's kink now and then


@pytest.mark.slow
@each
def test_xla_gives_the_same(name):
    import tensorflow as tf

    assert_close(outputs(tf.function(network(name), jit_compile=True)), outputs(network(name)), name)


@pytest.mark.slow
def test_a_detector_learns_the_same_by_xla():
    found = train(copy(DETECTOR), DETECTOR, keras.optimizers.SGD(0.01), jit_compile=True)
    loss, step = trained(DETECTOR)
    assert found[0] == pytest.approx(loss, rel=1e-4)
    assert error(found[1], step) < 0.05


@pytest.mark.slow
@each
def test_half_precision_learns_the_same(name):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = copy(name)
    finally:
        keras.config.set_dtype_policy("float32")
    expected = outputs(network(name))
    np.testing.assert_allclose(outputs(model), expected, rtol=0, atol=0.02 * np.ptp(expected))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=1024)
    found, (loss, step) = train(model, name, optimizer, run_eagerly=True), trained(name)
    assert found[0] == pytest.approx(loss, rel=0.05)
    assert error(found[1], step) < (DETECTORS_HALF if name == DETECTOR else MAGNIFIED)
