"""What the augmentations of detectors and classifiers share."""

import random
from collections import defaultdict
from numbers import Real

import numpy as np

BLUR = dict(blur_limit=0, sigma_limit=(0.5, 2.0))  # sigma in pixels; the kernel as large as it needs


class SeededComposes:
    """albumentations' composes, seeded anew for each image, for any number of threads.

    `build` is a function of a hashable key that returns an `A.Compose`.
    """

    def __init__(self, build):
        self._build = build
        # No two threads may have the same. TensorFlow's threads are new to Python at each call, which makes
        # threading.local of no use.
        self._idle = defaultdict(list)

    def __call__(self, key, seed, **data):
        """Apply the compose of `key` to `data`; the result is the same for the same `seed`."""
        try:
            compose = self._idle[key].pop()
        except IndexError:
            compose = self._build(key)
        # Not set_random_seed: with it all of its transforms draw the same numbers, so that the mirrored images, and no
        # others, would change their colours.
        compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        out = compose(**data)
        self._idle[key].append(compose)
        return out


def check_probabilities(**values):
    """Raise a ValueError for a value that is not a number in 0..1."""
    for name, value in values.items():
        if not (isinstance(value, Real) and 0 <= value <= 1):
            raise ValueError(f"{name} must be a probability, from 0 to 1. Received: {name}={value}")
