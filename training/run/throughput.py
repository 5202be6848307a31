"""How fast a run trains, and how much of its time it waits for data."""

import time

import tensorflow as tf


class Throughput:
    """A measurement of each epoch's training, without its first step, which compiles.

    Args:
        batch_size: images per step.
    """

    def __init__(self, batch_size):
        self.batch_size, self._waited = batch_size, 0.0

    def timed(self, dataset):
        """Return `dataset` with a clock: it adds up the time from the request of an element to its arrival."""
        requests = tf.data.Dataset.range(2**62).map(lambda _: tf.numpy_function(_now, [], tf.float64))

        def arrived(requested_at, element):
            with tf.control_dependencies([tf.numpy_function(self._add, [requested_at], tf.float64)]):
                return tf.nest.map_structure(tf.identity, element)

        # Keep tf.data from fetching ahead of what is measured here.
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        return tf.data.Dataset.zip(requests, dataset).map(arrived).with_options(options)

    def begin(self):
        """Begin an epoch."""
        self._start = self._first = time.perf_counter()
        self._waited, self._before, self._steps = 0.0, 0.0, 0

    def step(self):
        """Count a step that is done."""
        self._steps += 1
        self._end = time.perf_counter()
        if self._steps == 1:
            self._first, self._before = self._end, self._waited

    def figures(self):
        """Return {"images_per_second", "data_wait": the share of the time, 0 to 1} since `begin`; {} without a step."""
        if not self._steps:
            return {}
        steps, start, waited = self._steps - 1, self._first, self._waited - self._before
        if not steps:  # the first step is the only one
            steps, start, waited = 1, self._start, self._waited
        seconds = max(self._end - start, 1e-9)
        return {"images_per_second": steps * self.batch_size / seconds, "data_wait": min(1.0, waited / seconds)}

    def _add(self, requested_at):
        self._waited += time.perf_counter() - requested_at
        return self._waited


def _now():
    return time.perf_counter()


def speed(row):
    """Return the text of a row's figures."""
    return f"{row['images_per_second']:.1f} images per second, {row['data_wait']:.0%} of the time waiting for data"
