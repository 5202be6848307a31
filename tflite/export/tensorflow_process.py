"""Run TensorFlow's converter in a process of its own, from a SavedModel to a .tflite file's bytes.

In the caller's process it would keep the memory of what it converted, and now and then, on a busy machine, it ends its
process by a segmentation fault; tried again, the same model converts. The process waits for further models, as it takes
seconds to start, but not for long. It imports nothing of cspkeras, to start quickly.

`concurrent.futures.ProcessPoolExecutor` is not used since a process that it spawns imports the caller's `__main__`
again: a user's script without `if __name__ == "__main__":` would convert, and train, once more in it.
"""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

TRIES = 2
MODELS, PATIENCE = 8, 20  # models that a process converts, and seconds that it waits for one, before it ends

_lock, _idle = threading.Lock(), None


def convert_saved_model(folder, precision):
    """Convert a SavedModel to a .tflite file.

    Args:
        folder: the SavedModel.
        precision: "float32", "float16", "dynamic" or, for a quantized model, "int8".

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
            reason = converter.ask(str(folder), precision, str(output))
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
        self._process = subprocess.Popen([sys.executable, str(Path(__file__))], env=environment, text=True, **pipes)
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


def _convert(folder, precision, output):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        Path(output).write_bytes(converter.convert())
    except Exception as e:  # the converter's own errors are plain Exceptions of many lines
        return (str(e) or type(e).__name__).splitlines()[0]
    return ""


def _main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TensorFlow prints is not an answer
    while True:
        patience = threading.Timer(PATIENCE, os._exit, [0])
        patience.start()
        asked = sys.stdin.readline()
        patience.cancel()
        if not asked:
            return
        print(json.dumps(_convert(*json.loads(asked))), file=answers, flush=True)


if __name__ == "__main__":
    _main()
