"""What the run's callback measures, keeps and ends."""

import numpy as np
import pytest
from tiny_classifier import PLAIN, TRAIN, VAL, fit_tiny

from cspkeras.training import Recipe, fit


@pytest.mark.integration
def test_the_averaged_weights_are_measured_and_kept(tmp_path):
    # A large rate: the average is far from the last weights.
    model, rows = fit_tiny(tmp_path, ema=0.99, epochs=1, learning_rate=0.5)
    with np.load(tmp_path / "last.npz") as last, np.load(tmp_path / "best.npz") as best:
        for i, weight in enumerate(model.weights):
            np.testing.assert_array_equal(weight, best[f"weight{i}"])
            np.testing.assert_array_equal(best[f"weight{i}"], last[f"average{i}"])
        assert not np.array_equal(best["weight0"], last["weight0"])


@pytest.mark.integration
def test_early_stopping(tmp_path):
    model, rows = fit_tiny(tmp_path, epochs=50, learning_rate=0.0, patience=3)
    assert len(rows) == 4  # the first, and three that are not better
    assert fit(model, TRAIN, VAL, tmp_path, Recipe(**PLAIN | dict(epochs=50, patience=3)), resume=True) == rows
