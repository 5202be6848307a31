"""A run of a small detector, alone or as one of several workers: what test_workers.py starts."""

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import keras
from small_networks import shallow_detector

from cspkeras.training import Recipe, fit, read_voc
from cspkeras.training.distribution.workers import worker
from cspkeras.training.run.callback import Run
from cspkeras.training.run.state import BEST, LAST

folder, voc, workers, rank, changes, dies_at = sys.argv[1:]
recipe = {"epochs": 20, "batch_size": 8, "evaluate_every": 20, "optimizer": "sgd", "learning_rate": 2e-5}
recipe = Recipe(**recipe | json.loads(changes))
keras.utils.set_random_seed(0)
save = Run.save


def save_and_die(run):
    save(run)
    if run.progress.step == int(dies_at):
        os.kill(os.getpid(), 9)


Run.save = save_and_die
resume = (Path(folder) / "last.npz").exists()
needed = (LAST, BEST) if resume else ()
place = worker(workers, int(rank), folder, recipe.batch_size, needed) if workers else nullcontext(folder)
with place as own:
    fit(shallow_detector(), read_voc(voc, "train"), read_voc(voc, "val"), own, recipe, resume=resume)
