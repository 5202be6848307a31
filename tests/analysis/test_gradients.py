"""The gradients at feature maps, and what the paper says of a partial dense block's."""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.analysis.gradients import correlation, effective_rank, gradients_at

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gradients.py"


def test_gradients_at_the_last_map_are_those_by_hand():
    keras.utils.set_random_seed(0)
    image = layers.Input((4, 4, 3))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(5, 1, name="conv")(image))
    model = keras.Model(image, layers.Dense(7, name="top")(layers.GlobalAveragePooling2D()(x)))
    images, labels = np.random.default_rng(0).random((6, 4, 4, 3), "float32"), np.arange(6)
    found = gradients_at(model, ["norm"], images, labels)["norm"]
    error = np.asarray(keras.ops.softmax(model(images, training=True))) - np.eye(7)[labels]
    by_hand = error @ model.get_layer("top").kernel.numpy().T / 16  # the same at each of the 16 pixels
    np.testing.assert_allclose(found.reshape(6, 16, 5), np.repeat(by_hand[:, None], 16, axis=1), atol=1e-6)


def test_the_model_is_not_changed():
    image = layers.Input((4, 4, 3))
    x = layers.BatchNormalization(name="norm")(image)
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    before = [weight.numpy() for weight in model.weights]
    gradients_at(model, ["norm"], np.random.default_rng(0).random((3, 4, 4, 3), "float32"), np.zeros(3, int))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_correlation_is_that_of_numpy():
    columns = np.random.default_rng(0).normal(size=(50, 4)) @ np.random.default_rng(1).normal(size=(4, 4))
    table = np.abs(np.corrcoef(columns.T))
    assert correlation(columns) == pytest.approx(table[~np.eye(4, dtype=bool)].mean())
    assert correlation(columns[:, :1], columns[:, 1:]) == pytest.approx(table[0, 1:].mean())
    constant = np.concatenate([columns, np.ones((50, 1))], axis=1)
    assert correlation(constant) == pytest.approx(correlation(columns))


def test_effective_rank_counts_what_is_independent():
    independent = np.linalg.qr(np.random.default_rng(0).normal(size=(100, 5)))[0]
    independent = np.linalg.qr(independent - independent.mean(axis=0))[0]
    assert effective_rank(independent) == pytest.approx(5)
    assert effective_rank(np.repeat(independent[:, :1], 8, axis=1)) == pytest.approx(1)
    assert effective_rank(np.concatenate([independent, -2 * independent], axis=1)) == pytest.approx(5)


def _assert_less_is_duplicated(runs):
    """Of {kind: its runs}, as benchmarks/gradients.py gives them: csp beside dense blocks, after the first epoch on."""
    means = {}
    for kind, its in runs.items():
        assert all(run["accuracy"] > 0.8 for run in its)
        moments = [moment for run in its for moment in run["epochs"][1:]]
        means[kind] = {key: np.mean([moment[key] for moment in moments]) for key in moments[0]}
    for kind in set(means) & {"dense", "dense, divided"}:
        assert means["csp"]["between the halves"] < 0.75 * means[kind]["between the halves"]
        assert means["csp"]["entering"] < means[kind]["entering"]
        assert means["csp"]["rank of entering"] > means[kind]["rank of entering"]


@pytest.mark.slow
def test_a_partial_dense_block_has_less_duplicated_gradients():
    """Compared with a dense block after the same two convolutions."""
    spec = importlib.util.spec_from_file_location("gradients_benchmark", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    _assert_less_is_duplicated({kind: [benchmark.run(kind, 0)] for kind in ("dense, divided", "csp")})


def test_over_more_seeds_it_has_so_too_in_the_docs():
    found = json.loads((BENCHMARK.parents[1] / "docs" / "measured" / "gradients.json").read_text())
    assert all(len(runs) > 2 for runs in found.values())
    _assert_less_is_duplicated({kind: found[kind] for kind in ("dense", "dense, divided", "csp")})
