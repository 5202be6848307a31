"""Memory of batches that is used again, and never while someone holds it."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from cspkeras.training.pipeline.buffers import Buffers


@pytest.mark.parametrize(
    "hold", [lambda x: x, lambda x: x[1, ::2], lambda x: x.view("uint8"), memoryview, tf.experimental.numpy.asarray]
)
def test_what_is_held_is_not_used_again(hold):
    buffers = Buffers()
    array = buffers.empty((4, 5), "float32")
    array[:] = 7
    held = hold(array)
    before = bytes(np.asarray(held))
    del array
    gc.collect()
    buffers.empty((4, 5), "float32")[:] = 8
    assert bytes(np.asarray(held)) == before


def test_what_nobody_holds_is_used_again_by_whatever_fits_in():
    buffers = Buffers()
    first = buffers.empty((8, 3), "float32")
    address = first.ctypes.data
    del first
    for shape, dtype in (((2, 3), "uint8"), ((96,), "uint8"), ((0, 3), "float32"), ((8, 3), "float32")):
        assert buffers.empty(shape, dtype).ctypes.data == address
    assert buffers.empty((1000,), "float64").shape == (1000,)


def test_nothing_is_kept_after_the_end():
    buffers = Buffers()
    free, held = buffers.empty((8,), "uint8"), buffers.empty((8,), "uint8")
    kept = [weakref.ref(array.base.base) for array in (free, held)]
    del free
    buffers.close()
    del held
    assert [one() for one in kept] == [None, None]


def test_tensorflow_takes_it_without_a_copy_and_holds_it():
    buffers, places = Buffers(), []

    def made(i):
        array = buffers.empty((64, 64), "float32")
        array[:] = i
        places.append(array.ctypes.data)
        return array

    data = tf.data.Dataset.range(6).map(lambda i: tf.numpy_function(made, [i], "float32"))
    tensors = list(data)
    assert [set(x.numpy().ravel()) for x in tensors] == [{float(i)} for i in range(6)]
    assert [np.asarray(memoryview(x)).ctypes.data for x in tensors] == places
    assert len(set(places)) == 6
    del tensors
    places.clear()
    for _ in data:
        pass
    assert len(set(places)) < 6
