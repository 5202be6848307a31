"""The objects of a batch as one list, compared with the predictions of their images block by block.

A batch has as many rows for each image as its most crowded one needs. All pairs of a row and a prediction would not fit
the memory; a list of the objects alone takes time for these, and as much memory for ten thousand as for a few.
"""

from keras import ops

ROWS = 32  # objects of a block
PAIRS = 2**20  # of an object and a prediction in a block: fewer objects where there are many predictions


def fold(step, state, valid, predictions):
    """Return the state after all blocks of objects, those of an image in their order. No gradient goes through it.

    Args:
        step: function of (state, row, real), the state before a block, to the state after it: a tuple of tensors of the
            same shapes. `row` (B,) are the objects' places in (N * M,), and `real` (B,) is false for padding.
        state: tuple of tensors.
        valid: (N, M), which rows are objects; M at least 1.
        predictions: number of an image's predictions.
    """
    size = max(1, min(ROWS, PAIRS // predictions))
    valid = ops.reshape(valid, (-1,))
    total, count = ops.shape(valid)[0], ops.sum(ops.cast(valid, "int32"))
    place = ops.arange(total, dtype="int32")
    order = ops.sort(ops.where(valid, place, place + total)) % total  # objects first
    order = ops.pad(order, (0, size))

    def body(start, *state):
        places = start + ops.arange(size, dtype="int32")
        return start + size, *step(state, ops.take(order, places), places < count)

    start = ops.zeros((), "int32")
    return ops.while_loop(lambda start, *_: start < count, body, (start, *state))[1:]


def any_object(test, valid, predictions):
    """Return whether the test is true of a prediction and any object of its image: (N, P) bool.

    `test` is a function of (image (B,), row (B,)) to (B, P) bool; `valid` (N, M) and `row` are as in `fold`.
    """
    n, m = ops.shape(valid)

    def step(state, row, real):
        image = row // m
        found = ops.logical_and(test(image, row), real[:, None])
        return (ops.maximum(state[0], ops.segment_max(ops.cast(found, "int32"), image, num_segments=n)),)

    (found,) = fold(step, (ops.zeros((n, predictions), "int32"),), valid, predictions)
    return found > 0


def rows_of(batch):
    """Return (N, M, ...) as (N * M, ...)."""
    return ops.reshape(batch, (-1, *batch.shape[2:]))


def of_each_class(values):
    """Return a function of images and labels (B,) to the values (B, P) of such a class, of values (N, P, C)."""
    classes = values.shape[-1]
    rows = rows_of(ops.transpose(values, (0, 2, 1)))
    return lambda image, label: ops.take(rows, image * classes + label, axis=0)
