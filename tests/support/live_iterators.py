"""Scripts that hold an iterator at their end, each in a fork of this process: print how many end, with which status.

python tests/support/live_iterators.py KIND WORKERS TRIES
"""

import collections
import json
import os
import signal
import sys
import threading
import time

import cspkeras.training.pipeline.classification
import cspkeras.training.pipeline.detection  # noqa: F401 - imported once, before the forks
from cspkeras.training import (
    ClassificationData,
    DetectionData,
    Example,
    LabelledImage,
    classification_batches,
    training_batches,
)

LIMIT = 60  # seconds


def fitting(batches):
    import keras

    layers = [keras.layers.AveragePooling2D(32), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((64, 64, 3)), *layers])
    model.compile("sgd", "mse")
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    model.fit(batches.map(lambda image, target: (image, image[:, 0, 0, :2])), steps_per_epoch=10**9, verbose=0)


WAYS = {  # {name: (status, what a script does with an iterator alive)}
    "end": (0, lambda batches: None),
    "exception": (1, lambda batches: 1 / 0),
    "exit": (3, lambda batches: sys.exit(3)),
    "fit": (-signal.SIGINT, fitting),
}


def batches_of(kind, workers):
    import numpy as np

    images = np.random.default_rng(0).integers(0, 255, (16, 80, 100, 3), dtype=np.uint8)
    if kind == "detection":
        examples = [Example(image, np.float32([[8, 8, 60, 70]]), np.int64([0])) for image in images]
        return training_batches(DetectionData(examples, ("a",)), (64, 64), 4, workers=workers)
    examples = [LabelledImage(image, 0) for image in images]
    return classification_batches(ClassificationData(examples, ("a", "b")), (64, 64), 4, workers=workers)


def status_of(process):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return f"alive after {LIMIT} seconds"


def run(kind, workers, tries):
    """Return what a fork has to do, or in the parent None."""
    found = {}
    for name, (_, work) in WAYS.items():
        statuses = collections.Counter()
        for _ in range(tries):
            if not (process := os.fork()):
                return work
            statuses[status_of(process)] += 1
        found[name] = statuses
    print(json.dumps(found))
    return None


work = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
if work:  # at the script's level, as a user writes it
    sys.stderr.close()
    batches = batches_of(sys.argv[1], int(sys.argv[2]))
    iterator = iter(batches)
    next(iterator)
    work(batches)
