"""The exponential moving average of a model's weights, which is often better than any of them."""

from contextlib import contextmanager

import numpy as np

EVERY = 10  # steps between two updates: a copy of all weights costs more than what the steps between tell


class Averaging:
    """An average of what is trained, and of the batch-norms' statistics; other weights, such as counters, stay.

    Early in a run it keeps less than it is told to, (1 + step) / (10 + step) a step at most, so that it soon forgets
    the weights of the beginning.

    Args:
        model: its weights are where the average begins.
        keep: 0 to 1; what a step keeps of it.
    """

    def __init__(self, model, keep):
        self.model, self.keep, self.step = model, keep, 0
        self.values = [np.array(weight) for weight in model.weights]

    def due(self, step):
        """Update after `step` steps where it is time to."""
        if step - self.step >= EVERY:
            self.update(step)

    def update(self, step):
        """Bring the average up to what the weights are after `step` steps."""
        keep = np.float32(min(self.keep, (1 + step) / (10 + step)) ** (step - self.step))
        for i, weight in enumerate(self.model.weights):
            averaged = weight.trainable or "moving_" in weight.name
            self.values[i] = self.values[i] * keep + np.asarray(weight) * (1 - keep) if averaged else np.array(weight)
        self.step = step

    @contextmanager
    def in_place(self):
        """The model has the average for its weights in this block."""
        trained = [np.array(weight) for weight in self.model.weights]
        _assign(self.model, self.values)
        try:
            yield
        finally:
            _assign(self.model, trained)


def _assign(model, values):
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)
