"""The batch size "auto": as many images as the device's memory allows."""

import keras
import numpy as np

from ...machine import accelerators

SMALLEST, LARGEST = 8, 512
CPU_BATCH_SIZE = 16  # a CPU gains nothing by more, and its memory is the whole machine's
OUT_OF_MEMORY = ("resourceexhausted", "resource_exhausted", "out of memory", "oom")


def largest_batch_size(task):
    """Return the largest of 8, 16, 32, ... images with which a step fits the device's memory; 16 on a CPU.

    It is at most half of the training examples, so that an epoch has two steps. The task's compiled model is left as it
    was. A RuntimeError says that not even the smallest batch fits.
    """
    most = max(1, min(LARGEST, len(task.train.examples) // 2))
    if not accelerators():
        return min(CPU_BATCH_SIZE, most)
    model, size = task.model, SMALLEST
    variables = [*model.variables, *model.optimizer.variables]
    before, fitting = [np.array(variable) for variable in variables], None
    batch = next(iter(task.training_batches(1, 0)))
    while size <= most and _fits(model, batch, size):
        fitting, size = size, 2 * size
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    if fitting is None and size <= most:
        raise RuntimeError(f"the device's memory is too small for a batch of {SMALLEST} of {model.name}")
    return fitting or most


def _fits(model, batch, size):
    images, target = keras.tree.map_structure(lambda x: np.repeat(np.asarray(x), size, axis=0), batch)
    try:
        model.train_on_batch(images, target)
    except Exception as e:  # each backend has its own
        if any(word in f"{type(e).__name__} {e}".lower() for word in OUT_OF_MEMORY):
            return False
        raise
    return True
