"""What a demo does with its int8 file on a device: its script, run here, and the commands that come next."""

import json
import shlex
import subprocess
import sys
from importlib.resources import files

import numpy as np
from PIL import Image, ImageOps

from ..files import replacing
from ..reports.page import found_caption
from ..tflite.device.frames import load_image
from ..training.data.examples import DetectionData, readable

SHOWN, SIDE = 12, 384  # images, and the pixels of their longer side
DEVICE = files("cspkeras.tflite.device")


def try_device(folder, data, report):
    """Run the device's script on some of the images, as on a device; return (caption, image) pairs.

    The folder gets the images in images/, and what was found on them in found/.
    """
    detects, images, found = isinstance(data, DetectionData), [], folder / "found"
    every = max(1, len(data.examples) // SHOWN)
    for i, (_, pixels) in enumerate(readable(data.examples[::every][:SHOWN], report)):
        images.append(folder / "images" / f"image{i:02}.png")
        with replacing(images[-1]) as aside:
            ImageOps.contain(Image.fromarray(pixels), (SIDE, SIDE), Image.Resampling.BICUBIC).save(aside)
    script, answers = DEVICE / ("detect.py" if detects else "classify.py"), found / "found.json"
    how = ("--output", found) if detects else ("--top", "1")
    command = sys.executable, script, folder / "int8.tflite", *images, "--json", answers, *how
    if status := subprocess.run([str(part) for part in command]).returncode:
        raise RuntimeError(f"{script} ended with status {status} on the images of {folder / 'images'}")
    shown = []
    for image, answer in zip(images, json.loads(answers.read_text()), strict=True):
        labels = (one["label"] for one in answer["detections" if detects else "classes"])
        drawn = load_image(found / image.name if detects else image)
        shown.append((found_caption(labels), np.asarray(drawn)))
    return shown


def next_steps(folder, data):
    """Return what to do with a demo's files, as (text, command) pairs."""
    detects, quoted = isinstance(data, DetectionData), shlex.quote(str(folder))
    script, model = "detect.py" if detects else "classify.py", f"{quoted}/quantization/best.keras"
    android = f"cspkeras export --model {model} --precision int8 --android android_demo && make android"
    steps = [(f"on the device, with a copy of {DEVICE}", f"python device/{script} int8.tflite photos/")]
    if detects:  # the page and the application are for detectors
        steps.append(("in the browser", f"cspkeras serve {quoted}/int8.tflite"))
        steps.append(("for Android, in a clone of the repository", android))
    return steps
