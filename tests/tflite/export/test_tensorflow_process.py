"""TensorFlow's converter in a process that may die."""

import sys

import keras
import pytest

from cspkeras.tflite import convert
from cspkeras.tflite.export import tensorflow_process

pytestmark = pytest.mark.integration

NO_OPERATION = r"^TensorFlow can't convert small to float32 \(TFLite has no operation for tf\.Betainc of layer unknown"
DIES_ONCE = """#!/bin/sh
[ -e {marker} ] && exec {python} "$@"
touch {marker}
kill -SEGV $$
"""


def small(layer):
    return keras.Sequential([keras.Input((8, 8, 3)), layer], name="small")


def test_a_converter_that_crashes_is_started_again(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(DIES_ONCE.format(marker=tmp_path / "marker", python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setattr("cspkeras.tflite.export.tensorflow_process.sys.executable", str(python))
    monkeypatch.setattr(tensorflow_process, "_idle", None)
    assert convert(small(keras.layers.Conv2D(4, 3)), tmp_path / "x.tflite").stat().st_size > 1000
    assert (tmp_path / "marker").exists()


def test_what_cannot_be_converted_is_one_line_and_leaves_no_file(tmp_path):
    class Unknown(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.raw_ops.Betainc(a=x, b=x, x=x)

    with pytest.raises(RuntimeError, match=NO_OPERATION):
        convert(small(Unknown()), tmp_path / "x.tflite")
    assert not list(tmp_path.iterdir())


def test_a_process_converts_several_models_then_gives_its_memory_back(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorflow_process, "MODELS", 2)
    monkeypatch.setattr(tensorflow_process, "_idle", None)
    processes = []
    for _ in range(2):
        convert(small(keras.layers.Conv2D(4, 3)), tmp_path / "x.tflite")
        processes.append(tensorflow_process._idle)
    assert processes[0].asked == 2 and not processes[0].waits() and processes[1] is None


def test_a_process_that_ended_meanwhile_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorflow_process, "_idle", None)
    monkeypatch.setattr(tensorflow_process, "TRIES", 1)
    convert(small(keras.layers.Conv2D(4, 3)), tmp_path / "x.tflite")
    first = tensorflow_process._idle
    first._process.kill()
    first._process.wait()
    convert(small(keras.layers.Conv2D(4, 3)), tmp_path / "x.tflite")
    assert tensorflow_process._idle is not first
