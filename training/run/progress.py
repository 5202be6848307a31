"""How far a run is, and whether it is over."""

import csv

from ...files import replacing


class Progress:
    """A run's step, and a row of figures for each epoch.

    The recipe's epochs and patience decide when the run is over, the figure `monitor` which epoch is best.
    """

    def __init__(self, recipe, steps, monitor):
        self.recipe, self.steps, self.monitor = recipe, steps, monitor
        self.step, self.rows = 0, []

    @property
    def best(self):
        """The row that measured best, the first of equal ones; None before the first."""
        return max(self.rows, key=lambda row: row.get(self.monitor, -1.0), default=None)

    @property
    def finished(self):
        """Whether the last epoch is done, or the best one is longer ago than the recipe's patience."""
        if not self.rows:
            return False
        done, patience = len(self.rows), self.recipe.patience
        return done >= self.recipe.epochs or bool(patience and done - self.best["epoch"] >= patience)

    def add(self, row):
        """Add an epoch's row; return whether it measured better than all before it."""
        self.rows.append(row)
        return self.monitor in row and self.best is row

    def restore(self, state):
        """Continue where a state was saved; with another number of steps per epoch, where its last epoch ended."""
        self.step, self.rows = state["step"], state["rows"]
        if state["steps"] != self.steps:
            self.step = len(self.rows) * self.steps


def write_results(path, rows):
    """Write results.csv, a row per epoch."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as aside, open(aside, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
