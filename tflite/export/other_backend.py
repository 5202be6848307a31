"""Conversion where Keras runs on another backend than TensorFlow: in a process of its own, which runs it on TensorFlow.

The model goes there as a .keras file, calibration batches one by one, as they are asked for; back come the log and the
error, if any.
"""

import builtins
import importlib
import inspect
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np

from ...files import scratch
from ...graph import is_detector
from ...saving import read_about, write_about

MODEL, ANSWER = "model.keras", "answer.json"
CHILD = "from cspkeras.tflite.export import convert, other_backend as o; o.answer(convert.convert, *o.sys.argv[1:])"
KNOWN = {"builtins", "cspkeras", "keras"}  # packages whose classes the process has
log = logging.getLogger("cspkeras")


def convert_elsewhere(model, path, calibration, **options):
    """Call `convert` in a process with TensorFlow.

    Args:
        model: a Keras 3 model.
        path: as in `convert`, as calibration and the options; a classifier's `class_names` are its labels there.
        calibration: batches, or None.
        **options: the other arguments.

    Returns:
        The path.

    Raises:
        ValueError: where the process can't load the model; and whatever `convert` raises.
    """
    if options.get("labels") is None:
        options["labels"] = getattr(model, "class_names", None)
    options |= {"code": _own_code(model), "calibrated": calibration is not None}
    with scratch() as folder:
        _save(model, Path(folder, MODEL))
        with suppress(TypeError):
            options["batches"] = len(calibration)
        command = [sys.executable, "-c", CHILD, folder]
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process = subprocess.Popen(command, env=_environment(), stdin=subprocess.PIPE, **quiet)
        try:
            _send(process.stdin, {"path": path, **options}, calibration or ())
            status = process.wait()
        finally:
            process.terminate()  # where the batches, or the user, stopped this one
            process.wait()
        found = Path(folder, ANSWER)
        if not found.exists():
            raise RuntimeError(f"{model.name}: the process that converts with TensorFlow ended with status {status}")
        _hear(json.loads(found.read_text()))
    return path


def _save(model, path):
    try:
        model.save(path)
        write_about(path, model)
    except Exception as e:  # a user's layer raises whatever it does
        raise ValueError(_why(f"the model can't be saved for it ({_reason(e)})")) from e


def _reason(error):
    """The first line of an error, or of what Keras says that it met."""
    return (str(error).rpartition("Exception encountered: ")[2] or type(error).__name__).splitlines()[0]


def _why(reason, way=""):
    way += "convert with the environment variable KERAS_BACKEND=tensorflow"
    return f"where Keras does not run on TensorFlow, another process converts, and {reason}; {way}"


def _own_code(model):
    """[(module, name)] of the classes and functions in a model that are of no package in `KNOWN`."""
    found = set()
    for layer in model._flatten_layers():
        parts = [type(x) for x in (layer, *vars(layer).values()) if hasattr(x, "get_config")]
        parts += [x for x in vars(layer).values() if inspect.isfunction(x) and not hasattr(type(layer), x.__name__)]
        found |= {(x.__module__, x.__qualname__) for x in parts if x.__module__.partition(".")[0] not in KNOWN}
    hidden = sorted(name for module, name in found if module == "__main__" or "." in name)
    if hidden:
        way = "define such code at the top of a module of its own, or "
        raise ValueError(_why(f"it can't import {', '.join(hidden)}", way))
    return sorted(found)


def _environment():
    """The process's: with the same modules, and without a GPU, all of whose memory the caller may hold."""
    modules = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    return {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": modules}


def _send(pipe, options, batches):
    with suppress(BrokenPipeError), pipe:  # it reads no more batches than it takes
        pickle.dump(options, pipe)
        for batch in batches:
            pickle.dump(keras.tree.map_structure(_plain, batch), pipe)


def _plain(x):
    return np.asarray(x) if hasattr(x, "__array__") else x


def _hear(answer):
    """Log what the process logged, and raise its error."""
    for level, line in answer["log"]:
        log.log(level, line)
    if answer["error"]:
        kind, message = answer["error"]
        raise getattr(builtins, kind, RuntimeError)(message)


def answer(convert, folder):
    """Convert, in the process, what `convert_elsewhere` sends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by an exception, so that what it began is cleaned up
    lines = _Lines()
    log.addHandler(lines)
    options, error = pickle.load(sys.stdin.buffer), None
    code, calibrated, batches = options.pop("code"), options.pop("calibrated"), options.pop("batches", None)
    calibration = _received() if calibrated else None
    try:
        if batches is not None:
            calibration = list(calibration)
        convert(_loaded(Path(folder, MODEL), code), calibration=calibration, **options)
    except Exception as e:
        error = type(e).__name__, str(e)
    Path(folder, ANSWER).write_text(json.dumps({"log": lines.heard, "error": error}))


class _Lines(logging.Handler):
    """What is logged, in a list."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def emit(self, record):
        self.heard.append((record.levelno, record.getMessage()))


def _received():
    with suppress(EOFError):
        while True:
            yield pickle.load(sys.stdin.buffer)


def _loaded(path, code):
    try:
        known = {name: getattr(importlib.import_module(module), name) for module, name in code}
        model = keras.saving.load_model(path, custom_objects=known, compile=False, safe_mode=False)
        if not is_detector(model):
            read_about(path, model)
        return model
    except Exception as e:  # Keras raises whatever its zip and HDF5 readers raise, a user's module whatever it does
        raise ValueError(_why(f"it can't load the model ({_reason(e)})")) from e
