"""The exponential moving average of a model's weights, which often measures better than the weights of any step.

Keras has `use_ema` and `SwapEMAWeights`. Unlike these, ours averages the norms' statistics too, and warms up.
"""

from contextlib import contextmanager

import numpy as np

UPDATE_EVERY = 10  # steps; an update copies all weights, and more of them would hardly change the average


class Averaging:
    """An average of the trained weights and the batch-norms' statistics; other weights, such as counters, are copied.

    Early in a run a step keeps less of the average than `keep`, at most (1 + step) / (10 + step), so that the initial
    weights soon have no part in it.

    Args:
        model: the model; its weights are where the average begins.
        keep: share of the average that a step keeps, 0 to 1.
    """

    def __init__(self, model, keep):
        self.model, self.keep, self.step = model, keep, 0
        self.values = [np.array(weight) for weight in model.weights]

    def update_if_due(self, step):
        """Update after `step` steps if the last update is `UPDATE_EVERY` steps ago."""
        if step - self.step >= UPDATE_EVERY:
            self.update(step)

    def update(self, step):
        """Update the average with the weights after `step` steps."""
        keep = np.float32(min(self.keep, (1 + step) / (10 + step)) ** (step - self.step))
        for i, weight in enumerate(self.model.weights):
            averaged = weight.trainable or "moving_" in weight.name
            self.values[i] = self.values[i] * keep + np.asarray(weight) * (1 - keep) if averaged else np.array(weight)
        self.step = step

    @contextmanager
    def in_place(self):
        """Give the model the average as its weights within this block."""
        trained = [np.array(weight) for weight in self.model.weights]
        _assign(self.model, self.values)
        try:
            yield
        finally:
            _assign(self.model, trained)


def _assign(model, values):
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)
