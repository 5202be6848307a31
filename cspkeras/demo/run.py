"""Run the end-to-end demo: train, quantize, convert, check and detect, on drawn scenes of real handwriting."""

import csv
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from .. import __version__
from ..backbones import peleenet
from ..detection import Detector
from ..files import replacing, write_json
from ..saving import load_detector
from ..tflite.device.frames import load_image
from ..tflite.export.convert import convert
from ..tflite.proof.check import check
from ..training.data.anchors import estimate_anchors
from ..training.data.examples import DetectionData, Example
from ..training.evaluation.detection import evaluate, load_detect
from ..training.quantization.aware import quantize_aware
from ..training.recipes.recipe import Recipe
from ..training.run.folder import BEST_MODEL
from ..training.run.folder import RESULTS as HISTORY
from ..training.run.state import LAST
from ..training.run.trainer import fit
from . import digits
from .summary_page import write_summary_page

SIZE = 128
CLASSES = tuple("0123456789")
SEED = 0
TRAIN, VAL, HELD_OUT, SHOWN = 1500, 64, 200, 12  # scenes
# CSPPeleeNet at half its width and with half its dense layers.
SPEC = peleenet.PeleeSpec(blocks=(1, 2, 4, 2), cross_stage=True, stem=16, growth_rate=32, bottleneck=(16, 16, 32, 32))
# A mirrored digit is not a digit, and scenes are drawn at many scales already.
AUGMENT = {"mosaic": 0.0, "flip": 0.0}
TRAINING = Recipe(epochs=10, learning_rate=4e-3, warmup_epochs=1, seed=SEED, augment=AUGMENT)
QUANTIZATION = Recipe(epochs=2, learning_rate=4e-4, warmup_epochs=0, seed=SEED + 1, augment=AUGMENT)
RESULTS, SETTINGS, REPORT = "results.json", "settings.json", "report.html"


def demo(folder, report=print, *, overwrite=False):
    """Run the demo, resume an interrupted one, or report where a finished one is; return the results by model.

    The folder gets results.json, settings.json, report.html, the models, the held-out scenes and what was detected on
    them. A finished demo of other settings, or of another version of the package, is run again; `overwrite` starts from
    the beginning, whatever the folder holds.
    """
    folder, start = Path(folder), time.monotonic()
    if not overwrite and (finished := _finished(folder)):
        again = f"cspkeras demo --run {folder} --overwrite"
        report(f"{folder}: holds the finished demo; its report is {folder / REPORT}; to run it again: {again}")
        return finished

    def say(line):
        report(f"[{time.monotonic() - start:4.0f} s] {line}")

    if overwrite or (folder / RESULTS).exists():
        for name in (RESULTS, f"training/{LAST}", f"quantization/{LAST}"):
            (folder / name).unlink(missing_ok=True)
    keras.utils.set_random_seed(SEED)

    say("drawing scenes of handwritten digits")
    train, val = _data(TRAIN, SEED, "train"), _data(VAL, SEED + 1, "train")
    held_out = _data(HELD_OUT, SEED, "test")  # of handwriting that is in neither of the two

    say(f"training a small CSPPeleeNet + EFM, {TRAINING.epochs} epochs")
    backbone = peleenet.build(SPEC, include_top=False, input_shape=(SIZE, SIZE, 3), name="csppeleenet_small")
    model = Detector(
        backbone,
        "efm",
        CLASSES,
        anchors=estimate_anchors(train, (SIZE, SIZE)),
        neck_options={"width": 128, "sam": True},
    )
    _fit(model, train, val, folder / "training", TRAINING)
    keras_file = folder / "training" / BEST_MODEL
    model = load_detector(keras_file)

    say(f"quantization-aware training, {QUANTIZATION.epochs} epochs")
    quantized = quantize_aware(model)
    _fit(quantized, train, val, folder / "quantization", QUANTIZATION)

    say("converting to float16 and int8")
    convert(model, folder / "float16.tflite", "float16")
    convert(quantized, folder / "int8.tflite", "int8")

    say(f"measuring on {HELD_OUT} held-out scenes, checking on LiteRT's CPU and GPU delegate")
    images = np.stack([example.image for example in held_out.examples[:4]]).astype("float32") / 255
    measured = {"keras": _keras_row(model, keras_file, held_out)}
    for precision in ("float16", "int8"):
        file = folder / f"{precision}.tflite"
        checked = check(file, reference=keras_file, images=images)
        report(checked.table())
        measured[precision] = {
            **_accuracy(load_detect(file)[0], held_out),
            "size_bytes": checked.size_bytes,
            "latency_ms": checked.latency_ms,
            "gpu_delegated": checked.gpu_delegated,
        }

    say("detecting with the device's script")
    annotated = _detect_on_device(folder, held_out)
    minutes = (time.monotonic() - start) / 60
    _write_report(folder, measured, annotated, minutes)
    write_json(folder / SETTINGS, _settings())
    write_json(folder / RESULTS, measured)  # last: it marks the demo as finished
    for name, row in measured.items():
        gpu = {True: "all", False: "not all", None: "-"}[row["gpu_delegated"]]
        report(
            f"{name:8} mAP50 {row['mAP50']:.3f}  mAP {row['mAP']:.3f}  {row['size_bytes'] / 1e6:5.2f} MB  "
            f"{row['latency_ms']:6.2f} ms  on the GPU: {gpu}"
        )
    say(f"done: {folder / REPORT}")
    return measured


def _settings():
    """Return what decides a demo's results, as JSON holds it."""
    constants = dict(size=SIZE, classes=CLASSES, seed=SEED, scenes=(TRAIN, VAL, HELD_OUT, SHOWN))
    parts = dict(spec=SPEC, training=TRAINING, quantization=QUANTIZATION)
    parts = {name: dataclasses.asdict(part) for name, part in parts.items()}
    return json.loads(json.dumps({"version": __version__, **constants, **parts}))


def _finished(folder):
    """Return the results of a finished demo with the present settings, None where the folder holds none."""
    if not (folder / REPORT).is_file():
        return None
    try:
        settings, results = (json.loads((folder / name).read_text()) for name in (SETTINGS, RESULTS))
    except (FileNotFoundError, ValueError):
        return None
    return results if settings == _settings() else None


def _data(count, seed, split):
    scenes = digits.scenes(count, size=SIZE, seed=seed, split=split)
    return DetectionData([Example(*scene) for scene in scenes], CLASSES)


def _fit(model, train, val, folder, recipe):
    fit(model, train, val, folder, recipe, resume=(folder / LAST).exists())


def _accuracy(detect, data):
    measured = evaluate(detect, data)
    return {name: measured[name] for name in ("mAP50", "mAP")}


def _keras_row(model, file, data):
    image, times = np.zeros((1, SIZE, SIZE, 3), "float32"), []
    for _ in range(21):
        begin = time.perf_counter()
        model.predict_on_batch(image)
        times.append(time.perf_counter() - begin)
    return {
        **_accuracy(model.detect, data),
        "size_bytes": file.stat().st_size,
        "latency_ms": 1000 * statistics.median(times[1:]),
        "gpu_delegated": None,
    }


def _detect_on_device(folder, data):
    """Run tflite/device/detect.py as on a device; return (caption, annotated image) pairs."""
    scenes, output = folder / "scenes", folder / "detections"
    for i, example in enumerate(data.examples[:SHOWN]):
        with replacing(scenes / f"scene{i:02}.png") as aside:
            Image.fromarray(example.image).resize((3 * SIZE, 3 * SIZE), Image.Resampling.BICUBIC).save(aside)
    script = files("cspkeras.tflite.device") / "detect.py"
    command = sys.executable, script, folder / "int8.tflite", scenes, "--output", output, "--score", "0.4"
    if status := subprocess.run([str(part) for part in command]).returncode:
        raise RuntimeError(f"{script} ended with status {status} on {scenes}")
    found = json.loads((output / "detections.json").read_text())
    images = []
    for image in found:
        name = Path(image["file"]).name
        labels = ", ".join(str(d["label"]) for d in image["detections"])
        images.append((f"found: {labels or 'nothing'}", np.asarray(load_image(output / name))))
    return images


def _write_report(folder, measured, images, minutes):
    def history(run):
        with open(folder / run / HISTORY, newline="") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]

    rows = [{**row, "name": name} for name, row in measured.items()]
    rows[0] = {k: v for k, v in rows[0].items() if k != "gpu_delegated"} | {"name": "Keras"}
    write_summary_page(
        folder / REPORT,
        "CSPPeleeNet + EFM, from training to the phone",
        "A small CSPPeleeNet with the Exact Fusion Model learns to find handwritten digits, is quantized with "
        "quantization-aware training, converted to TFLite, and run on LiteRT's CPU and GPU delegate. All figures are "
        f"of {HELD_OUT} held-out scenes with handwriting that the network has never seen.",
        rows,
        {"training": history("training"), "quantization-aware training": history("quantization")},
        images,
        [
            f"Command: cspkeras demo; seed {SEED}, {TRAIN} scenes of {SIZE}x{SIZE} pixels, {minutes:.1f} minutes.",
            f"Machine: {platform.machine()}, {os.cpu_count()} cores. Latency: median of 20 runs of one image; TFLite "
            "on 2 threads, Keras as predict_on_batch.",
            "GPU delegated: LiteRT's WebGPU backend in 32-bit floats; phones run OpenCL or OpenGL in 16 bits.",
            "Handwriting: the digits of scikit-learn's load_digits.",
        ],
    )
