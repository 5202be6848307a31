"""Whether two runs found the same objects."""

import numpy as np

SURE = 0.25  # the score above which an object is found


def differences(found, expected, pixels, score):
    """Return the largest differences of boxes, in pixels, and scores of two lists of objects, as detect.py writes them.

    Each sure object of one has its like, of its class, in the other, or an AssertionError names it; there are some.
    """
    assert len(expected) >= 5
    largest = np.zeros(2)
    for these, others in ((found, expected), (expected, found)):
        for one in these:
            apart = [
                (np.abs(np.subtract(one["box"], other["box"])).max(), abs(one["score"] - other["score"]))
                for other in others
                if other["label"] == one["label"]
            ]
            nearest = min(apart, default=(np.inf, np.inf))
            if nearest[0] > pixels or nearest[1] > score:
                assert one["score"] < SURE + score, (one, nearest)
            else:
                largest = np.maximum(largest, nearest)
    return tuple(largest.tolist())
