"""A run that goes wrong: its loss or its weights are no longer finite numbers, and what may be the reason."""

import math

import numpy as np

from ...precision import PLAIN
from ..recipes.schedules import learning_rate
from .state import LAST

# Of the loss, times its least, and of a weight, times its largest number in the saved state: rare in a good run.
LOSS_GROWTH, WEIGHT_GROWTH = 10, 1000


class Divergence:
    """What tells a run that goes wrong: its losses, and its weights since they were saved.

    Args:
        model: the network.
        progress: the run's `Progress`.
        folder: the run's folder, for the message.
    """

    def __init__(self, model, progress, folder):
        self.model, self.progress, self.folder = model, progress, folder
        self._least, self._growth, self._saved = math.inf, 1.0, 0
        self._sizes = _sizes(model)

    def check_loss(self, loss):
        """Raise a FloatingPointError unless the mean loss of the epoch's steps so far is finite.

        Keras has it as a number after every step, for its progress bar, so that this costs nothing.
        """
        if not math.isfinite(loss):
            raise self._error(f"the loss is {loss}")
        self._least = min(self._least, abs(loss))
        self._growth = max(self._growth, abs(loss) / max(self._least, 1e-6))

    def check_weights(self):
        """Raise a FloatingPointError where a weight is not a finite number, as the next step's loss would not be."""
        if not all(np.isfinite(np.asarray(weight)).all() for weight in self.model.weights):
            raise self._error("the weights are no longer finite numbers")

    def saved(self):
        """Remember the weights as those that a resumed run begins with."""
        self._saved, self._sizes = self.progress.step, _sizes(self.model)

    def _error(self, what):
        progress, recipe = self.progress, self.progress.recipe
        rate = learning_rate(recipe, max(progress.step - 1, 0), progress.steps)
        grown = (_sizes(self.model) / np.maximum(self._sizes, 1)).max(initial=0)
        if self._growth >= LOSS_GROWTH or grown >= WEIGHT_GROWTH:
            lower = f"--set learning_rate={recipe.learning_rate / 10:g}"
            why = f"loss or weights have grown before, so the rate is too high: --resume {lower}"
        else:
            why = "neither loss nor weights had grown before; --resume"
            if recipe.precision != PLAIN:
                why = f"precision {recipe.precision} may be too coarse, --set precision={PLAIN} is not; {why}"
        return FloatingPointError(
            f"{self.folder}: {what} {_place(progress.step, progress.steps)}, at a learning rate of {rate:g}; {why} "
            f"continues {_place(self._saved, progress.steps)}, whose state is in {LAST}"
        )


def _place(step, steps):
    epoch, within = divmod(max(step - 1, 0), steps)
    return f"after step {within + 1} of {steps} of epoch {epoch + 1}" if step else "at the beginning"


def _sizes(model):
    """Return the largest of the finite numbers in each weight, an array."""
    weights = (np.abs(np.asarray(weight)) for weight in model.weights)
    return np.array([weight[np.isfinite(weight)].max(initial=0) for weight in weights])
