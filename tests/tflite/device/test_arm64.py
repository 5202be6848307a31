"""The device's scripts on a 64-bit ARM processor, emulated, beside this one: the same objects and classes."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import arm64
import bccd_files
import keras
import numpy as np
import pytest
from PIL import Image
from same_objects import differences
from small_networks import small_backbone
from untrained import calibrate_norms

from cspkeras.tflite import convert
from cspkeras.tflite.device import detect
from cspkeras.training import calibrate, quantize_aware

pytestmark = pytest.mark.slow

FOLDER = os.environ.get("CSPKERAS_ARM64")
PIXELS, SCORE = 0.5, 2 / 256  # that may differ
SECONDS = 240  # of one run, which takes 10 to 80
LABELS = "one", "two", "three"
CLASSIFIERS = {
    "float16": {"precision": "float16"},
    "int8": {"precision": "int8"},
    "integer": {"precision": "int8", "io": "int8"},
}
# Of tflite-runtime the floats alone: int8 is rounded otherwise by its kernels, which are older, on any processor.
RUNS = [("ai-edge-litert", kind) for kind in bccd_files.KINDS] + [("tflite-runtime", "float16")]


@pytest.fixture(scope="module")
def on_arm():
    """A function of a script's name and arguments: the start of its command line on ARM."""
    if not FOLDER or not shutil.which(arm64.EMULATOR):
        pytest.skip(f"needs {arm64.EMULATOR} and a folder by tests/support/arm64.py that CSPKERAS_ARM64 names")
    return partial(arm64.command, FOLDER)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Images of noise, each of a colour of its own."""
    folder, rng = tmp_path_factory.mktemp("album"), np.random.default_rng(0)
    for i in range(8):
        noise = rng.normal(rng.uniform(0, 255, 3), 60, (80, 100, 3)).clip(0, 255)
        Image.fromarray(noise.astype(np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def classifiers(album, tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("classifiers")
    images = np.stack([np.asarray(Image.open(path).resize((64, 64))) for path in sorted(album.iterdir())]) / np.float32(
        255
    )
    model = calibrate_norms(small_backbone("CSPPeleeNet"), images)
    quantized = calibrate(quantize_aware(model, [images]), [images])
    return {
        kind: convert(model if kind == "float16" else quantized, folder / f"{kind}.tflite", labels=LABELS, **options)
        for kind, options in CLASSIFIERS.items()
    }


def run(python, script, *arguments, folder):
    """What a script writes about images in JSON."""
    found = folder / "found.json"
    command = [*python, Path(detect.__file__).with_name(script), *arguments, "--json", found, "--threads", "1"]
    start = partial(subprocess.run, command, capture_output=True, text=True, cwd=folder)
    try:
        done = start(timeout=SECONDS)
    except subprocess.TimeoutExpired:  # the emulator has hung, once
        done = start(timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(found.read_text())


@pytest.mark.parametrize("runtime, kind", RUNS)
def test_the_same_objects_are_found(on_arm, bccd_file, test_data, tmp_path, runtime, kind):
    arguments = "detect.py", bccd_file(kind), *bccd_files.pictures(test_data, 1)
    expected, found = (run(python, *arguments, folder=tmp_path) for python in ([sys.executable], on_arm(runtime)))
    apart = [
        differences(ours["detections"], theirs["detections"], PIXELS, SCORE)
        for ours, theirs in zip(found, expected, strict=True)
    ]
    print(f"{runtime}, {kind}: boxes differ by {max(apart)[0]} pixels, scores by {max(a[1] for a in apart)}")


@pytest.mark.parametrize("runtime, kind", RUNS)
def test_the_same_classes_are_named(on_arm, classifiers, album, tmp_path, runtime, kind):
    arguments = "classify.py", classifiers[kind], album
    expected, found = (run(python, *arguments, folder=tmp_path) for python in ([sys.executable], on_arm(runtime)))
    ours, theirs = ([{c["label"]: c["score"] for c in one["classes"]} for one in run] for run in (found, expected))
    scores = [[[one[label] for label in LABELS] for one in run] for run in (ours, theirs)]
    assert np.std(scores[1], axis=0).max() > 0.1  # they differ from image to image
    print(f"{runtime}, {kind}: scores differ by {np.abs(np.subtract(*scores)).max()}")
    np.testing.assert_allclose(*scores, atol=SCORE)
    assert [one["classes"][0]["label"] for one in found] == [one["classes"][0]["label"] for one in expected]
