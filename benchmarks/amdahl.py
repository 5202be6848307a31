"""Amdahl's law, fitted to the speed of a program with 1, 2, 4, ... workers.

A share of the work is serial, the rest is divided among the workers: the time of an image with n of them is
t(n) = t(1) * (serial + (1 - serial) / n).
"""

from dataclasses import dataclass

import numpy as np

DRAWS, INTERVAL = 1000, (0.025, 0.975)


@dataclass(frozen=True)
class Serial:
    """The serial share of a program's time with one worker, and the ends of its 95 % interval."""

    share: float
    low: float
    high: float


def fitted(rates, seed=0):
    """Fit the law by least squares of the relative errors.

    Args:
        rates: {workers: images per second, one for each round}; two numbers of workers or more, as many rounds each.
        seed: of the rounds that are drawn, with repetition, for the interval.

    Returns:
        `Serial`. Noise can make its share negative.

    Example:
        >>> round(fitted({1: [100.0], 2: [190.0], 4: [350.0]}).share, 3)
        0.047
    """
    workers, measured = np.array(list(rates)), np.array(list(rates.values()))
    rounds = measured.shape[1]
    drawn = np.random.default_rng(seed).integers(rounds, size=(DRAWS, rounds))
    shares = [_share(workers, measured[:, chosen]) for chosen in drawn]
    low, high = np.quantile(shares, INTERVAL)
    return Serial(_share(workers, measured), float(low), float(high))


def _share(workers, rates):
    rate = np.median(rates, axis=1)
    divided, serial = np.polyfit(1 / workers, 1 / rate, 1, w=rate)
    return float(serial / (serial + divided))


def speedup(serial, workers):
    """Return how many times as fast as one worker `workers` are by the law; noise beyond 0 and 1 is cut off."""
    serial = min(max(serial, 0.0), 1.0)
    return 1 / (serial + (1 - serial) / workers)
