"""TensorFlow's converter in a process of its own, from a SavedModel to a .tflite file's bytes.

In the caller's process it would keep the memory of what it converted, and now and then, on a busy machine, it ends its
process by a segmentation fault, after which the same model converts. It imports nothing of cspkeras, to start quickly.
"""

import os
import subprocess
import sys
from pathlib import Path

TRIES = 2


def convert_saved_model(folder, precision):
    """The bytes of a SavedModel's .tflite file, "float32", "float16", "dynamic" or, of a quantized model, "int8".

    Raises:
        RuntimeError: the converter's reason in one line.
    """
    output = Path(folder) / "converted.tflite"
    command = [sys.executable, str(Path(__file__)), str(folder), precision, str(output)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}  # it needs none, and the caller may hold all its memory
    for _ in range(TRIES):
        done = subprocess.run(command, env=environment, capture_output=True)
        if done.returncode >= 0:
            break
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(told[-1] if done.returncode > 0 and told else f"it ended by signal {-done.returncode}")
    return output.read_bytes()


def _main(folder, precision, output):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        Path(output).write_bytes(converter.convert())
    except Exception as e:  # the converter's own errors are plain Exceptions of many lines
        sys.exit((str(e) or type(e).__name__).splitlines()[0])


if __name__ == "__main__":
    _main(*sys.argv[1:])
