"""The benchmark of large data sets: Amdahl's law finds a known share, and each part measures on small sets."""

import json
from functools import partial

import numpy as np
import pytest
import scale
import scale_parts
from amdahl import fitted, speedup


@pytest.mark.parametrize("serial", [0.0, 0.02, 0.3, 1.0])
def test_the_fitted_share_is_that_of_the_law(serial):
    rng = np.random.default_rng(0)
    exact = {n: 200 * speedup(serial, n) * np.ones(5) for n in (1, 2, 4, 8)}
    found = fitted(exact)
    assert (found.share, found.low, found.high) == pytest.approx((serial,) * 3, abs=1e-9)
    noisy = fitted({n: rate * rng.normal(1, 0.01, 5) for n, rate in exact.items()})
    assert noisy.low < noisy.high and noisy.share == pytest.approx(serial, abs=0.03)


def test_speedups():
    assert speedup(0.02, 16) == pytest.approx(12.3, abs=0.05)
    assert speedup(0.72, 10**9) == pytest.approx(1 / 0.72)
    assert speedup(-0.1, 64) == 64  # noise


@pytest.mark.parametrize(("cores", "numbers"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16])])
def test_numbers_of_workers(cores, numbers):
    assert scale.powers(cores) == numbers


def test_what_is_measured_is_kept_and_not_measured_again(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(scale, "alone", lambda function, *args: (calls.append(args) or {"seconds": len(calls)}, 0.0))
    setting, works = {"cores": 2}, {"one": partial(print, 1), "two": partial(print, 2)}
    for _ in range(2):
        measuring = scale.Measuring(tmp_path / "scale.json", setting, 0)
        measuring.rounds("part", works, 2)
    assert calls == [(1,), (2,), (1,), (2,)]  # in turns
    found = json.loads((tmp_path / "scale.json").read_text())
    assert found["part"] == {"one": [{"seconds": 1}, {"seconds": 3}], "two": [{"seconds": 2}, {"seconds": 4}]}
    with pytest.raises(SystemExit, match="measured with other settings"):
        scale.Measuring(tmp_path / "scale.json", {"cores": 4}, 0)


def test_the_law_of_measured_speeds():
    def one(speed):
        return {"images_per_second": speed, "own": 0.005, "converting": 0.003, "workers": 0.095, "memory": 1}

    found = scale.law({"1": [one(100)] * 3, "2": [one(100 * speedup(0.1, 2))] * 3})
    assert found["fitted"]["share"] == pytest.approx(0.1)
    assert found["processor"] == pytest.approx(0.02)
    assert found["speedups"]["16"] == pytest.approx([speedup(0.1, 16), speedup(0.02, 16)])


@pytest.mark.integration
def test_small_sets_are_made_read_and_batched(tmp_path):
    sets = scale.made(tmp_path, images=24, boxes=170, files=40, classes=5, seed=0)
    for found in (scale_parts.read(sets["coco"], "coco"), scale_parts.read(sets["imagenet"], "folder")):
        assert 0 < found["seconds"] < 60 and found["memory"] > 10**7
    assert scale_parts.listed(sets["imagenet"])["seconds"] < 1
    before = (sets["coco"] / "annotations/instances_train.json").stat().st_mtime_ns
    assert scale.made(tmp_path, images=24, boxes=170, files=40, classes=5, seed=0) == sets
    assert (sets["coco"] / "annotations/instances_train.json").stat().st_mtime_ns == before
    for task in ("detection", "classification"):
        found = scale_parts.rate(task, sets["few"], 32, 4, workers=1, seconds=0.2)
        assert found["images_per_second"] > 1 and found["memory"] > 10**6 and found["own"] > found["converting"] > 0
