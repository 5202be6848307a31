"""The speed of a run."""

import itertools
import time

import tensorflow as tf

from cspkeras.training.run.throughput import Throughput


def test_the_speed_is_measured_without_the_first_step(monkeypatch):
    clock = itertools.count(step=2)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    throughput = Throughput(batch_size=10)
    throughput.begin()
    assert throughput.figures() == {}
    throughput.step()
    assert throughput.figures() == {"images_per_second": 10 / 2, "data_wait": 0.0}  # the only step
    throughput._waited = 1.0
    throughput.step()
    throughput.step()
    assert throughput.figures() == {"images_per_second": 2 * 10 / 4, "data_wait": 1 / 4}


def test_measuring_changes_nothing():
    data = tf.data.Dataset.range(5).map(lambda i: (i, {"boxes": 2 * i}))
    throughput = Throughput(1)
    assert [*throughput.timed(data).as_numpy_iterator()] == [(i, {"boxes": 2 * i}) for i in range(5)]
    assert throughput._waited > 0
