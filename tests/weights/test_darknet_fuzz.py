"""Damaged files: never anything but a model or an error of one line that names the file."""

import re

import keras
import numpy as np
import pytest
from numpy_darknet import CLASSIFIER, DETECTOR, EVERYTHING, cfg_text, save

from cspkeras import from_darknet

pytestmark = pytest.mark.integration


def mutate(data, rng, pieces):
    """Damage bytes in one to three places: cut, repeat, overwrite, or put a piece of something else in."""
    for _ in range(rng.integers(1, 4)):
        i, j = sorted(rng.integers(0, len(data) + 1, 2))
        j = min(j, i + int(rng.integers(1, 40)))
        piece = pieces[rng.integers(len(pieces))]
        data = [
            data[:i] + data[j:],
            data[:j] + data[i:],
            data[:i] + piece + data[i:],
            data[:i] + piece + data[j:],
            data[:i] + rng.bytes(j - i) + data[j:],
            data[:i],
        ][rng.integers(6)]
    return data


def renumber(data, rng):
    """Replace one number in a cfg."""
    spots = list(re.finditer(rb"-?\d+", data))
    start, end = spots[rng.integers(len(spots))].span()
    number = (-9, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 12, 99, 4096, 65536, 999999)[rng.integers(16)]
    return data[:start] + str(number).encode() + data[end:]


def attempt(cfg, weights=None):
    """Return whether the files give a model; if not, check that the error is of one line."""
    try:
        return isinstance(from_darknet(cfg, weights), keras.Model)
    except (ValueError, OSError) as error:
        assert str(cfg) in str(error) or str(weights) in str(error)
        assert len(str(error).splitlines()) == 1
        return False


@pytest.mark.parametrize("network", [CLASSIFIER, DETECTOR, EVERYTHING], ids=["classifier", "detector", "everything"])
def test_a_damaged_cfg_gives_a_model_or_an_error(tmp_path, network):
    rng, path = np.random.default_rng(0), tmp_path / "net.cfg"
    text = cfg_text(network, 8, 8).encode()
    pieces = [b"\n", b"\r", *rb"= , [ ] # - 0 1 99 -9 1e9 \ [route]".split(), b"\0", b"\xff"]
    built = 0
    for _ in range(60):
        for damaged in (mutate(text, rng, pieces), renumber(text, rng), renumber(renumber(text, rng), rng)):
            path.write_bytes(damaged)
            built += attempt(path)
    assert 20 < built < 160


def test_damaged_weights_give_a_model_or_an_error(tmp_path):
    cfg, weights, *_ = save(tmp_path, CLASSIFIER)
    rng, data = np.random.default_rng(0), weights.read_bytes()
    built = 0
    for _ in range(200):
        weights.write_bytes(mutate(data, rng, [b"\0\0\x80\xff", b"\xff" * 4, data[:20], data[40:80]]))
        built += attempt(cfg, weights)
    assert built < 100
