"""Run TensorFlow's converter in a process of its own, from a SavedModel to a .tflite file's bytes.

In the caller's process it would keep the memory of what it converted, and now and then, on a busy machine, it ends its
process by a segmentation fault; tried again, the same model converts. The process waits for further models, as it takes
seconds to start, but not for long. It imports nothing of cspkeras, to start quickly.

`concurrent.futures.ProcessPoolExecutor` is not used since a process that it spawns imports the caller's `__main__`
again: a user's script without `if __name__ == "__main__":` would convert, and train, once more in it.
"""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

TRIES = 2
MODELS, PATIENCE = 8, 20  # models that a process converts, and seconds that it waits for one, before it ends

_lock, _idle = threading.Lock(), None


def convert_saved_model(folder, precision, io=("float32", "float32"), calibration=None):
    """Convert a SavedModel to a .tflite file.

    Args:
        folder: the SavedModel.
        precision: "float32", "float16", "dynamic", "int8" or "int16x8".
        io: the type of inputs and outputs that are numbers: (of inputs, of outputs).
        calibration: None for a model that rounds itself, where the precision is of integers; otherwise an .npz file,
            for each input, by its name, an array of samples, each of the input's shape.

    Returns:
        The bytes of the file.

    Raises:
        RuntimeError: the converter's reason in one line.
    """
    global _idle
    output = Path(folder) / "converted.tflite"
    with _lock:
        for _ in range(TRIES):
            converter, _idle = _idle if _idle and _idle.waits() else _Converter(), None
            reason = converter.ask(str(folder), precision, io, calibration and str(calibration), str(output))
            if reason is not None:
                break
            reason = f"its process ended with status {converter.end()}"
        else:
            raise RuntimeError(reason)
        if converter.asked < MODELS:
            _idle = converter
        else:
            converter.end()
    if reason:
        raise RuntimeError(reason)
    return output.read_bytes()


class _Converter:
    """The converter's process, seen from the caller's."""

    def __init__(self):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}  # the caller may hold all of a GPU's memory
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        command = [sys.executable, str(Path(__file__)), str(PATIENCE)]
        self._process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.asked = 0

    def waits(self):
        """Return whether the process runs, waiting for a model."""
        return self._process.poll() is None

    def ask(self, *arguments):
        """Convert a model; return the reason for a failure, "" for success, None if the process ended."""
        self.asked += 1
        try:
            print(json.dumps(arguments), file=self._process.stdin, flush=True)
        except OSError:
            return None
        answer = self._process.stdout.readline()
        return json.loads(answer) if answer else None

    def end(self):
        """Let the process end; return its status."""
        with suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()


def _convert(folder, precision, io, calibration, output):
    import numpy as np
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int16x8":
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide, tf.lite.OpsSet.TFLITE_BUILTINS]
    if calibration:
        with np.load(calibration) as file:
            arrays = dict(file)
        count = min(map(len, arrays.values()))
        converter.representative_dataset = lambda: ({n: a[i] for n, a in arrays.items()} for i in range(count))
    converter.inference_input_type, converter.inference_output_type = (getattr(tf, name) for name in io)
    try:
        Path(output).write_bytes(converter.convert())
    except Exception as e:  # the converter's own errors are plain Exceptions of many lines
        return _reason(e)
    return ""


def _reason(error):
    """The reason that an error of the converter gives, in one line."""
    text = str(error) or type(error).__name__
    missing = re.findall(r"'?(tf\.[A-Za-z0-9_]+)'? op is neither a custom op nor a flex op", text)
    if missing:
        return f"TFLite has no operation for {', '.join(sorted(set(missing)))}"
    return text.splitlines()[0]


def _main(patience):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TensorFlow prints is not an answer
    while True:
        timer = threading.Timer(patience, os._exit, [0])
        timer.start()
        asked = sys.stdin.readline()
        timer.cancel()
        if not asked:
            return
        print(json.dumps(_convert(*json.loads(asked))), file=answers, flush=True)


if __name__ == "__main__":
    _main(float(sys.argv[1]))
