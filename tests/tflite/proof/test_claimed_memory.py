"""Files whose tensors claim any size, or come to it when they run: a line that names the limit, before it is taken."""

import numpy as np
import pytest
from tiny_files import converted

from cspkeras.tflite.device.classify import Classifier
from cspkeras.tflite.export.flatbuffer import pack, unpack
from cspkeras.tflite.runtime.litert import LiteRTError, run_cpu

pytestmark = pytest.mark.integration
SIDE = 30_000  # of an image of 11 GB


@pytest.fixture(scope="module")
def enlarges():
    """A file that resizes an image to 16x16 and takes the mean."""

    def means(image):
        import tensorflow as tf

        return tf.reduce_mean(tf.image.resize(image, (16, 16), "nearest"), (1, 2))

    return converted(means, (1, 8, 8, 3))


def claims(model):
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = np.array([1, SIDE, SIDE, 3], "int32")


def grows(model):
    sides = np.array([16, 16], "int32").tobytes()
    (buffer,) = [one for one in model.buffers if one.data is not None and bytes(one.data) == sides]
    buffer.data = np.frombuffer(np.array([SIDE, SIDE], "int32").tobytes(), "uint8")


@pytest.mark.parametrize(
    "change, message",
    [
        (claims, "its tensor .*: 10,800,000,000 bytes of memory; at most 4,294,967,296 are accepted, set CSP"),
        (grows, "it takes more than 4,294,967,296 bytes of memory; set CSP"),
    ],
)
def test_no_more_memory_than_allowed(change, message, enlarges, tmp_path):
    resource = pytest.importorskip("resource")
    before, model, path = resource.getrlimit(resource.RLIMIT_DATA), unpack(enlarges), tmp_path / "x.tflite"
    change(model)
    path.write_bytes(pack(model))
    for read in (run_cpu, lambda path: Classifier(path, 1, labels=["red", "green", "blue"])):
        with pytest.raises((LiteRTError, ValueError), match=f"^{path}: .*{message}KERAS_MAX_MEMORY for more"):
            read(path)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_memory_may_be_raised(enlarges, tmp_path, monkeypatch):
    monkeypatch.setenv("CSPKERAS_MAX_MEMORY", "700")
    (tmp_path / "x.tflite").write_bytes(enlarges)
    with pytest.raises(ValueError, match="its tensor .*: 3,072 bytes of memory; at most 700 are accepted"):
        run_cpu(tmp_path / "x.tflite")
    monkeypatch.setenv("CSPKERAS_MAX_MEMORY", "4 GB")
    with pytest.raises(ValueError, match="must be a whole number of bytes of memory. Received: '4 GB'"):
        run_cpu(tmp_path / "x.tflite")
