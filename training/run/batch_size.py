"""The batch size "auto": as large as the device's memory allows."""

import keras
import numpy as np

SMALLEST, LARGEST = 8, 512
FULL = ("resourceexhausted", "resource_exhausted", "out of memory", "oom")
ON_CPU = 16  # a processor gains nothing by more, and its memory is the machine's


def resolve(task, limit=LARGEST):
    """The largest batch of 8, 16, 32, ... that a step on it fits the device's memory; 16 without an accelerator.

    At most half of the training examples, so that an epoch has two steps. The compiled model is left as it was.

    Args:
        task: a `tasks.Task`, its model compiled.
        limit: largest batch to try.

    Raises:
        RuntimeError: where not even the smallest fits.
    """
    most = max(1, min(limit, len(task.train.examples) // 2))
    if not accelerated():
        return min(ON_CPU, most)
    model, size = task.model, SMALLEST
    variables = [*model.variables, *model.optimizer.variables]
    before, fits = [np.array(variable) for variable in variables], None
    while size <= most and _fits(task, size):
        fits, size = size, 2 * size
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    if fits is None and size <= most:
        raise RuntimeError(f"the device's memory is too small for a batch of {SMALLEST} of {model.name}")
    return fits or most


def accelerated():
    """Whether the network runs on something else than a CPU."""
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())


def _fits(task, size):
    batch = next(iter(task.batches(1, 0)))
    images, target = keras.tree.map_structure(lambda x: np.repeat(np.asarray(x), size, axis=0), batch)
    try:
        task.model.train_on_batch(images, target)
    except Exception as e:  # each backend has an error of its own for it
        if any(word in f"{type(e).__name__} {e}".lower() for word in FULL):
            return False
        raise
    return True
