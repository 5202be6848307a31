"""Scripts that hold an iterator at their end, each in a fork of this process: print how many end, with which status.

Its arguments: detection or classification, the number of workers, of tries, and which ways to end.
"""

import collections
import json
import os
import signal
import sys
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

LIMIT = 100  # seconds


def fitting(batches):
    import keras

    layers = [keras.layers.AveragePooling2D(32), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((64, 64, 3)), *layers])
    model.compile("sgd", "mse")
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: signal.raise_signal(signal.SIGINT) if step == 9 else None
    )
    batches = batches.map(lambda image, target: (image, image[:, 0, 0, :2]))
    model.fit(batches, steps_per_epoch=10**9, verbose=0, callbacks=[stop])


WAYS = {  # {name: what a script does with an iterator alive}
    "end": lambda batches: None,
    "exception": lambda batches: 1 / 0,
    "exit": lambda batches: sys.exit(3),
    "fit": fitting,
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


def run(tries, ways):
    """Return what a fork has to do, or in the parent None."""
    found = {}
    for name in ways:
        statuses = collections.Counter()
        for _ in range(tries):
            if not (process := os.fork()):
                return WAYS[name]
            statuses[status_of(process)] += 1
        found[name] = statuses
    print(json.dumps(found))
    return None


signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
work = run(int(sys.argv[3]), sys.argv[4:])
if work:  # at the script's level, as a user writes it
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    batches = batches_of(sys.argv[1], int(sys.argv[2]))
    iterator = iter(batches)
    next(iterator)
    work(batches)
