"""The callback that leads a run."""

import dataclasses
import json
import time
from contextlib import nullcontext
from pathlib import Path

import keras

from ...files import replacing
from ..distribution.workers import broadcast_metrics
from ..pipeline.stream import steps_per_epoch
from ..recipes.schedules import learning_rate
from .averaging import Averaging
from .divergence import Divergence
from .folder import BEST_MODEL, BOARD, RESULTS
from .progress import Progress, write_results
from .state import BEST, LAST, assign, save_state
from .tensorboard import Board
from .throughput import Throughput


class Run(keras.callbacks.Callback):
    """Lead a run: set each step's learning rate, average the weights, measure them, and keep the run's files.

    Keras has a callback for each of these: LearningRateScheduler, SwapEMAWeights, EarlyStopping, CSVLogger,
    ModelCheckpoint and TensorBoard. This is one callback because a run must resume to the bit: the state holds what
    each of them knows, and it is written after all of an epoch's other files, so that a run killed between two of them
    repeats the epoch's end as it was.

    The batch size of the task's recipe is a number; `export` is a function of a path that writes the best model to a
    file.
    """

    def __init__(self, task, folder, export):
        super().__init__()
        self.set_model(task.model)
        recipe = task.recipe
        self.task, self.recipe, self.folder, self.export = task, recipe, Path(folder), export
        self.about = json.loads(json.dumps({"recipe": dataclasses.asdict(recipe), "model": task.about()}))
        self.progress = Progress(recipe, steps_per_epoch(task.train.examples, recipe.batch_size), task.monitor)
        self.throughput = Throughput(recipe.batch_size)
        self.averaging = Averaging(task.model, recipe.ema) if recipe.ema else None
        self.board = Board(self.folder / BOARD) if recipe.tensorboard else None
        self.divergence = Divergence(task.model, self.progress, self.folder)
        self._metrics, self._saved = [], time.monotonic()

    def restore(self, state):
        """Continue where `save` saved a state, as `load_state` returns it."""
        progress = self.progress
        progress.restore(state)
        if progress.step % progress.steps:
            self._metrics = state["metric"]
        if self.averaging and state["average"]:
            self.averaging.values, self.averaging.step = state["average"], min(state["averaged"], progress.step)

    def save(self):
        """Write the last state, from which a run continues as if it had never stopped."""
        self.divergence.check_weights()
        progress = self.progress
        meta = {"step": progress.step, "steps": progress.steps, "rows": progress.rows, "run": self.about}
        groups = {"metric": self._metrics or _metrics(self.model)}  # restored ones, until the epoch continues
        if self.averaging:
            meta["averaged"], groups["average"] = self.averaging.step, self.averaging.values
        save_state(self.folder / LAST, self.model, meta, **groups)
        self.divergence.saved()
        self._saved = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        if self._metrics:
            assign(self.folder / LAST, "metric", self._metrics, _metrics(self.model))
            self._metrics = []
        self.throughput.begin()

    def on_train_batch_begin(self, batch, logs=None):
        rate = learning_rate(self.recipe, self.progress.step, self.progress.steps)
        self.model.optimizer.learning_rate.assign(rate)

    def on_train_batch_end(self, batch, logs=None):
        progress = self.progress
        progress.step += 1
        self.throughput.step()
        self.divergence.check_loss(logs["loss"])
        if self.averaging:
            self.averaging.update_if_due(progress.step)
        # At an epoch's end the state is saved after the measurement.
        if progress.step % progress.steps and time.monotonic() - self._saved >= self.recipe.save_every:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        model, progress = self.model, self.progress
        self.divergence.check_weights()
        row = {"epoch": epoch + 1} | {name: float(value) for name, value in logs.items()}
        if self.averaging:
            self.averaging.update(progress.step)
        with self.averaging.in_place() if self.averaging else nullcontext():
            if not (epoch + 1) % self.recipe.evaluate_every or epoch + 1 == self.recipe.epochs:
                measured = broadcast_metrics(self.task.measure())
                logs.update(measured)  # for the progress bar
                row |= measured
            row["learning_rate"] = learning_rate(self.recipe, progress.step - 1, progress.steps)
            row |= self.throughput.figures()
            self._write_epoch(model, row, is_best=progress.add(row))
        self.save()  # last of all: a run killed before this line resumes before the epoch's end
        model.stop_training = progress.finished

    def _write_epoch(self, model, row, is_best):
        write_results(self.folder / RESULTS, self.progress.rows)
        if is_best:
            save_state(self.folder / BEST, model, {"epoch": row["epoch"]}, optimizer=False)
            with replacing(self.folder / BEST_MODEL) as aside:
                self.export(aside)
        if self.board:
            self.board.write(row, self.task.report_images() if self.task.monitor in row else ())


def _metrics(model):
    return [variable for metric in model.metrics for variable in metric.variables]
