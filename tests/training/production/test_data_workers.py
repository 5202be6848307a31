"""Worker processes: the same batches as without, whatever becomes of them, and nothing is left of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scenes import PLAIN, assert_same, scene, take
from small_data import COLORS

from cspkeras.training import (
    ClassificationData,
    DetectionData,
    Example,
    LabelledImage,
    classification_batches,
    training_batches,
)
from cspkeras.training.production import template

pytestmark = pytest.mark.integration
LIVE = Path(__file__).parents[2] / "support" / "live_iterators.py"
SIZE = (64, 96)


def detection(count=9):
    return DetectionData([scene(seed) for seed in range(count)], tuple(COLORS))


def labelled():
    return ClassificationData([LabelledImage(scene(seed).image, seed % 3) for seed in range(9)], tuple("abc"))


def processes():
    """The ids of the worker processes."""
    (parent,) = [template._template._process.pid] if template._template else [0]
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def detector_batches(workers, count=5, data=None, **options):
    return take(training_batches(data or detection(), SIZE, 4, seed=1, workers=workers, **options), count)


@pytest.mark.parametrize(
    "augment",
    [{}, {"mixup": 1.0, "cached": 5, "crop": 0.0, "scale": [0.5, 2.0]}],
    ids=["", "cached"],
)
def test_the_number_of_workers_decides_nothing_of_a_detectors_batches(augment):
    whole = detector_batches(0, augment=augment)
    for workers in (1, 3):
        assert_same(detector_batches(workers, augment=augment), whole)
    assert_same(detector_batches(2, 2, augment=augment, start_step=3), whole[3:])
    known = detector_batches(0, 2, augment=augment, start_step=3, share=(1, 2))
    assert_same(detector_batches(2, 2, augment=augment, start_step=3, share=(1, 2)), known)
    np.testing.assert_array_equal(known[0][0], whole[3][0][2:])


def test_the_number_of_workers_decides_nothing_of_a_classifiers_batches():
    options = dict(seed=2, augment={"cutmix": 0.5}, dtype="uint8")
    whole, *others = (
        list(classification_batches(labelled(), SIZE, 4, workers=n, **options).take(5).as_numpy_iterator())
        for n in (0, 1, 3)
    )
    for other in others:
        for (images, labels), (known, known_labels) in zip(other, whole, strict=True):
            assert images.dtype == np.uint8
            np.testing.assert_array_equal(images, known)
            np.testing.assert_array_equal(labels, known_labels)


def test_workers_that_are_killed_are_replaced():
    known, reports = detector_batches(0, 16), []
    found = []
    for batch in training_batches(detection(), SIZE, 4, seed=1, workers=2, report=reports.append).take(16):
        image, objects = batch
        found.append((image.numpy(), objects["boxes"].numpy(), objects["labels"].numpy()))
        if len(found) in (2, 4):
            os.kill(processes()[-1], signal.SIGKILL)
    assert_same(found, known)
    assert reports and all("data worker has ended, killed or out of memory, and is replaced" in one for one in reports)


def test_the_template_that_is_killed_is_replaced():
    found = iter(training_batches(detection(), SIZE, 4, seed=1, workers=1, report=lambda line: None))
    first = next(found)
    os.kill(template._template._process.pid, signal.SIGKILL)
    rest = [next(found) for _ in range(6)]
    for (image, _), (known, *_) in zip((first, *rest), detector_batches(0, 7), strict=True):
        np.testing.assert_array_equal(image, known)


def test_broken_and_damaged_images_are_reported_once(tmp_path):
    examples = []
    for i in range(6):
        Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / f"{i}.jpg")
        examples.append(Example(tmp_path / f"{i}.jpg", np.float32([[4, 4, 60, 60]]), np.int64([0])))
    content = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(content[:-400])
    (tmp_path / "2.jpg").write_bytes(content[: len(content) // 2] + b"\xff\xd0" * 9 + content[len(content) // 2 + 18 :])
    data = DetectionData(examples, ("a",))
    for augment in (PLAIN, {"mosaic": 1.0}):
        one, several = [], []
        known = detector_batches(0, 12, data, augment=augment, report=one.append)
        assert_same(detector_batches(3, 12, data, augment=augment, report=several.append), known)
        assert sorted(several) == sorted(one) and len(one) == 2


def test_an_error_in_a_worker_arrives_with_its_line(tmp_path):
    examples = [Example(tmp_path / f"{i}.png", np.zeros((0, 4), "float32"), np.zeros(0, "int64")) for i in range(4)]
    for example in examples:
        Image.new("RGB", (32, 32)).save(example.image)
    batches = training_batches(DetectionData(examples, ("a",)), SIZE, 2, workers=2, report=lambda line: None)
    for example in examples:  # the folder vanishes
        example.image.unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match="ValueError: none of the 4 training images can be read"):
        for _ in batches:
            pass


def test_no_process_is_left():
    script = (
        "from scenes import scene\nfrom small_data import COLORS\n"
        "from cspkeras.training import DetectionData, training_batches\n"
        "from cspkeras.training.production import template\n"
        "batches = training_batches(DetectionData([scene(0)] * 4, tuple(COLORS)), (64, 64), 2, workers=2)\n"
        "for image in batches.take(2):\n    pass\n"
        "pid = template._template._process.pid\n"
        "print(pid, open(f'/proc/{pid}/task/{pid}/children').read(), flush=True)\n"
        "input()\n"
    )
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as process:
        started = process.stdout.readline().split()
        assert len(started) == 3
        process.kill()
    end = time.monotonic() + 10
    while left := [pid for pid in started if os.path.exists(f"/proc/{pid}")]:
        assert time.monotonic() < end, f"alive ten seconds after their parent: {left}"
        time.sleep(0.1)


STATUS = {"end": 0, "exception": 1, "exit": 3, "fit": -signal.SIGINT}


@pytest.mark.parametrize(
    "kind, workers, ways", [("detection", 0, tuple(STATUS)), ("classification", 2, ("exit", "fit"))]
)
def test_a_process_ends_while_an_iterator_is_alive(kind, workers, ways):
    tries = 1 if workers else 2
    command = [sys.executable, str(LIVE), kind, str(workers), str(tries), *ways]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found == {way: {str(STATUS[way]): tries} for way in ways}
