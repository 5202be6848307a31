"""Callbacks for Keras 3's and tf-keras' `fit` alike."""

import csv
import json

import keras

from ..files import replacing
from .evaluation import evaluate
from .state import BEST, LAST, save_state

RESULTS = "results.csv"


class Callback(keras.callbacks.Callback):
    """A Keras 3 callback that tf-keras' `fit` takes too: it asks each callback what it implements."""

    _supports_tf_logs = False

    def _implements_train_batch_hooks(self):
        return False

    _implements_test_batch_hooks = _implements_predict_batch_hooks = _implements_train_batch_hooks

    def set_model(self, model):
        self._model = model

    @property
    def model(self):
        return self._model


class MeanAveragePrecision(Callback):
    """COCO mAP on a data set after each epoch, into the logs as `val_mAP` and `val_mAP50`.

    Args:
        detect: function as `evaluation.evaluate` takes it.
        data: `DetectionData`.
        every: epochs between two measurements; the last epoch is always measured.
        epochs: the run's number of epochs.
        report: called with a line for each picture that can't be read, once.
    """

    def __init__(self, detect, data, every=1, epochs=None, report=print):
        super().__init__()
        self.report = report
        self.detect, self.data, self.every, self.epochs = detect, data, every, epochs
        self._known = set()

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        measured = evaluate(self.detect, self.data, report=self._once)
        logs.update({f"val_{name}": measured[name] for name in ("mAP", "mAP50")})

    def _once(self, line):
        if line not in self._known:
            self._known.add(line)
            self.report(line)


class Recorder(Callback):
    """Keep a run: results.csv, the last state and the best one.

    Args:
        folder: the run's folder.
        monitor: the log of which the largest value is best.
        rows: what an earlier part of the run has recorded.
        run: what the last state says of the run, a dict that JSON can hold.
        export: function of a path, called for the best model as well; None for none.
    """

    def __init__(self, folder, monitor="val_mAP", rows=(), run=None, export=None):
        super().__init__()
        self.folder, self.monitor, self.rows, self.run, self.export = folder, monitor, list(rows), run, export

    def on_epoch_end(self, epoch, logs=None):
        best = max((row.get(self.monitor, -1.0) for row in self.rows), default=-1.0)
        self.rows.append({"epoch": epoch + 1} | {name: float(value) for name, value in logs.items()})
        write_results(self.folder / RESULTS, self.rows)
        if self.rows[-1].get(self.monitor, -1.0) > best:
            save_state(self.folder / BEST, self.model, {"epoch": epoch + 1})
            if self.export:
                with replacing(self.folder / "best.keras") as aside:
                    self.export(aside)
        # Last of all: where a run is killed before this line, it resumes from the epoch before.
        save_state(self.folder / LAST, self.model, {"epoch": epoch + 1, "rows": self.rows, "run": self.run})


def write_results(path, rows):
    """Write results.csv, a row an epoch."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as aside, open(aside, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_json(path, value):
    """Write a JSON file, aside first."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")
