"""One callback that leads a run, for Keras 3's and tf-keras' `fit` alike, and the files that it writes."""

import csv
import time
from contextlib import nullcontext

import keras

from ...files import replacing
from ..distribution.workers import agreed
from ..recipes.schedules import rate
from .folder import MODEL, RESULTS
from .state import BEST, LAST, save_state


class Callback(keras.callbacks.Callback):
    """A Keras 3 callback that tf-keras' `fit` takes too: it asks each callback what it implements."""

    _supports_tf_logs = True  # what a step logs stays on the device

    def _implements_train_batch_hooks(self):
        return True

    def _implements_test_batch_hooks(self):
        return False

    _implements_predict_batch_hooks = _implements_test_batch_hooks

    def set_model(self, model):
        self._model = model

    @property
    def model(self):
        if hasattr(self._model, "jax_state_sync"):  # on JAX the variables are behind within an epoch
            self._model.jax_state_sync()
        return self._model


class Run(Callback):
    """Sets the learning rate of each step, averages the weights, measures, and keeps the run's files.

    Args:
        folder: the run's folder.
        task: a `tasks.Task`.
        recipe: `Recipe`.
        steps: steps an epoch.
        throughput: `Throughput`.
        averaging: `Averaging`, or None.
        about: what the last state says of the run, a dict that JSON can hold.
        export: function of a path, called for the best model as well; None for none.
        board: `Board`, or None.
    """

    def __init__(self, folder, task, recipe, steps, throughput, *, averaging=None, about=None, export=None, board=None):
        super().__init__()
        self.set_model(task.model)
        self.folder, self.task, self.recipe, self.steps, self.throughput = folder, task, recipe, steps, throughput
        self.averaging, self.about, self.export, self.board = averaging, about, export, board
        self.step, self.rows, self._metrics, self._saved = 0, [], [], time.monotonic()

    @property
    def finished(self):
        """Whether the last epoch is over, or the best one longer ago than the recipe's patience."""
        best = max(self.rows, key=self._score, default={"epoch": 0})["epoch"]
        tired = self.recipe.patience and len(self.rows) - best >= self.recipe.patience
        return len(self.rows) >= self.recipe.epochs or bool(tired)

    def restore(self, state):
        """Go on where a state was saved; see `save`."""
        self.step, self.rows = state["step"], state["rows"]
        if state["steps"] != self.steps:  # other data or another batch: the epoch begins anew
            self.step = len(self.rows) * self.steps
        if self.step % self.steps:
            self._metrics = state["metric"]
        if self.averaging and state["average"]:
            self.averaging.values, self.averaging.step = state["average"], min(state["averaged"], self.step)

    def save(self):
        """Write the last state, of which a run goes on as if it had never stopped."""
        meta = {"step": self.step, "steps": self.steps, "rows": self.rows, "run": self.about}
        groups = {"metric": self._metrics or _metrics(self.model)}  # the former, before the epoch goes on
        if self.averaging:
            meta["averaged"], groups["average"] = self.averaging.step, self.averaging.values
        save_state(self.folder / LAST, self.model, meta, **groups)
        self._saved = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in zip(_metrics(self.model) if self._metrics else [], self._metrics, strict=True):
            variable.assign(value)
        self._metrics = []
        self.throughput.begin()

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate.assign(rate(self.recipe, self.step, self.steps))

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.throughput.step()
        if self.averaging:
            self.averaging.due(self.step)
        # The end of an epoch has its own, once that has been measured.
        if self.step % self.steps and time.monotonic() - self._saved >= self.recipe.save_every:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        model, best = self.model, max(map(self._score, self.rows), default=-1.0)
        row = {"epoch": epoch + 1} | {name: float(value) for name, value in logs.items()}
        if self.averaging:
            self.averaging.update(self.step)
        with self.averaging.in_place() if self.averaging else nullcontext():
            if not (epoch + 1) % self.recipe.evaluate_every or epoch + 1 == self.recipe.epochs:
                measured = agreed(self.task.measure())
                logs.update(measured)  # for the progress bar
                row |= measured
            row["learning_rate"] = rate(self.recipe, self.step - 1, self.steps)
            row |= self.throughput.figures()
            self.rows.append(row)
            write_results(self.folder / RESULTS, self.rows)
            if self._score(row) > best:
                save_state(self.folder / BEST, model, {"epoch": epoch + 1}, optimizer=False)
                if self.export:
                    with replacing(self.folder / MODEL) as aside:
                        self.export(aside)
            if self.board:
                self.board.write(row, self.task.report_images() if self.task.monitor in row else ())
        # Last of all: where a run is killed before this line, it goes on before the epoch's end.
        self.save()
        model.stop_training = self.finished

    def _score(self, row):
        return row.get(self.task.monitor, -1.0)


def _metrics(model):
    return [variable for metric in model.metrics for variable in metric.variables]


def write_results(path, rows):
    """Write results.csv, a row an epoch."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as aside, open(aside, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
