"""Run an end-to-end demo: train, quantize, convert, check, and detect or classify with the device's script."""

import csv
import json
import os
import platform
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from .. import __version__
from ..files import write_json
from ..saving import load_network
from ..tflite.export.convert import convert
from ..tflite.proof.check import check
from ..training.quantization.aware import calibrate, quantize_aware
from ..training.run.folder import BEST_MODEL
from ..training.run.folder import RESULTS as HISTORY
from ..training.run.state import LAST
from ..training.run.tasks import task_of
from ..training.run.trainer import fit
from .case import SEED
from .device import next_steps, try_device
from .summary_page import accuracies, write_summary_page

COMPARED = 4  # images that a file's answers are compared with Keras' on
RESULTS, SETTINGS, REPORT = "results.json", "settings.json", "report.html"
TRAINING, QUANTIZATION = "training", "quantization"  # folders of the runs
STATES = RESULTS, f"{TRAINING}/{LAST}", f"{QUANTIZATION}/{LAST}"  # what a demo has reached


def demo(case, folder, report=print, *, overwrite=False):
    """Run a demo, resume an interrupted one, or report where a finished one is; return the results by model.

    The folder gets results.json, settings.json, report.html, the models, some held-out images and what was found on
    them. A finished demo of other constants, or of another version of the package, is run again; `overwrite` starts
    from the beginning, whatever the folder holds. FileExistsError: it holds a demo by another command.
    """
    folder, start = Path(folder), time.monotonic()
    settings = {"version": __version__, "command": case.command, **case.constants}
    if not overwrite and (finished := _finished(folder, settings)):
        again = f"{case.command} --run {folder} --overwrite"
        report(f"{folder}: holds the finished demo; its report is {folder / REPORT}; to run it again: {again}")
        return finished

    def say(line):
        report(f"[{time.monotonic() - start:4.0f} s] {line}")

    plan = _begin(folder, settings, overwrite)
    keras.utils.set_random_seed(SEED)
    work = case.prepare(plan, say)
    write_json(folder / SETTINGS, {**settings, "plan": work.plan})

    say(f"training {work.name}, {work.training.epochs} epochs")
    _fit(work.build(), work, folder / TRAINING, work.training)
    keras_file = folder / TRAINING / BEST_MODEL
    model = load_network(keras_file)
    task = task_of(model, work.train, work.held_out, work.training, report)

    say(f"quantization-aware training, {work.quantization.epochs} epochs")
    quantized = _quantized(task, work.calibration)
    _fit(quantized, work, folder / QUANTIZATION, work.quantization)

    say("converting to float16 and int8")
    convert(model, folder / "float16.tflite", "float16")
    convert(quantized, folder / "int8.tflite", "int8")

    count = len(work.held_out.examples)
    say(f"measuring on {count} held-out images, checking on LiteRT's CPU and GPU delegate")
    images = _images(task, work.held_out, COMPARED)
    measured = {"keras": _keras_row(task, keras_file)}
    for precision in ("float16", "int8"):
        file = folder / f"{precision}.tflite"
        checked = check(file, reference=keras_file, images=images)
        report(checked.table())
        measured[precision] = {
            **_figures(task, file),
            "size_bytes": checked.size_bytes,
            "latency_ms": checked.latency_ms,
            "gpu_delegated": checked.gpu_delegated,
        }

    say("running the device's script")
    shown, steps = try_device(folder, work.held_out, report), next_steps(folder, work.held_out)
    _write_report(folder, case, work, measured, shown, steps, (time.monotonic() - start) / 60)
    write_json(folder / RESULTS, measured)  # last: it marks the demo as finished
    columns = accuracies(measured.values())
    for name, row in measured.items():
        gpu = {True: "all", False: "not all", None: "-"}[row["gpu_delegated"]]
        accuracy = "".join(f"{label} {row[column]:.3f}  " for column, label in columns)
        report(f"{name:8} {accuracy}{row['size_bytes'] / 1e6:5.2f} MB  {row['latency_ms']:6.2f} ms  on the GPU: {gpu}")
    say(f"done: {folder / REPORT}")
    report(f"files for the device: {folder / 'int8.tflite'}, {folder / 'float16.tflite'}")
    for what, command in steps:
        report(f"{what}: {command}")
    return measured


def _begin(folder, settings, overwrite):
    """Return the plan of the run by these settings that the folder holds, None where it has none; clear another one."""
    before, known = _json(folder / SETTINGS) or {}, settings["command"]
    plan, held = before.pop("plan", None), [path for path in (folder / name for name in STATES) if path.exists()]
    if not overwrite and held and (command := before.get("command", known)) != known:
        raise FileExistsError(
            f"{folder}: holds the demo of {command}; --run names another folder, --overwrite replaces what is there"
        )
    if overwrite or folder / RESULTS in held or before not in ({}, settings):
        for path in held:
            path.unlink()
        return None
    return plan


def _finished(folder, settings):
    """Return the results of a finished demo with these settings, None where the folder holds none."""
    found = _json(folder / SETTINGS) or {}
    same = {name: found.get(name) for name in settings} == settings
    return _json(folder / RESULTS) if same and (folder / REPORT).is_file() else None


def _json(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _fit(model, work, folder, recipe):
    fit(model, work.train, work.val, folder, recipe, resume=(folder / LAST).exists())


def _images(task, data, count):
    """Return up to `count` images as one batch that the task's model takes."""
    return np.concatenate([*task.calibration_images(task.model, data, count, task.report, task.pixels)])


def _quantized(task, count):
    """Return what `quantize_aware` makes of the task's model, its ranges measured on `count` images."""
    if not count:
        return quantize_aware(task.model)
    images = _images(task, task.train, count)
    return calibrate(quantize_aware(task.model, [images]), [images])


def _figures(task, file=None):
    return {name.removeprefix("val_"): value for name, value in task.measure(file).items()}


def _keras_row(task, file):
    image, times = np.zeros((1, *task.model.input_shape[1:]), "float32"), []
    for _ in range(21):
        begin = time.perf_counter()
        task.model.predict_on_batch(image)
        times.append(time.perf_counter() - begin)
    return {
        **_figures(task),
        "size_bytes": file.stat().st_size,
        "latency_ms": 1000 * statistics.median(times[1:]),
        "gpu_delegated": None,
    }


def _write_report(folder, case, work, measured, shown, steps, minutes):
    def history(run):
        with open(folder / run / HISTORY, newline="") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]

    rows = [{**row, "name": name} for name, row in measured.items()]
    rows[0] = {k: v for k, v in rows[0].items() if k != "gpu_delegated"} | {"name": "Keras"}
    write_summary_page(
        folder / REPORT,
        f"{work.name}, from training to the phone",
        work.summary,
        rows,
        {"training": history(TRAINING), "quantization-aware training": history(QUANTIZATION)},
        shown,
        steps,
        [
            f"Command: {case.command}; seed {SEED}, {minutes:.1f} minutes.",
            *work.notes,
            f"Machine: {platform.machine()}, {os.cpu_count()} cores. Latency: median of 20 runs of one image; TFLite "
            "on 2 threads, Keras as predict_on_batch.",
            "GPU delegated: LiteRT's WebGPU backend in 32-bit floats; phones run OpenCL or OpenGL in 16 bits.",
        ],
    )
