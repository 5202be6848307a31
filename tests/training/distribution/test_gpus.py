"""Several devices of one machine, here two halves of its processor: the run is that of one."""

import json
import subprocess
import sys
from types import SimpleNamespace

import keras
import pytest
from small_data import small_voc

from cspkeras.training.distribution.gpus import mirrored

TRAIN = """
import json, sys
import keras, numpy as np, tensorflow as tf
import quick_graphs
from small_networks import shallow_detector
from cspkeras.saving import load_detector
from cspkeras.training import DetectionData, Recipe, fit, read_voc
from cspkeras.training.distribution import gpus
voc, folder = sys.argv[1:]
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
gpus.KIND = "CPU"  # of which two can be had anywhere
train, val = read_voc(voc, "train"), read_voc(voc, "val")
# Four images, each twice in a batch of eight, so that both halves have the statistics of the whole.
order = np.random.default_rng([0, 0, 0]).permutation(16)
train = DetectionData([train.examples[i] for i in np.argsort(order) % 4], train.class_names)
recipe = Recipe(epochs=1, batch_size=8, optimizer="sgd", clip_norm=0.1, augment=dict(mosaic=0, crop=0, flip=0, color=0))
losses = []
for count in (1, 2):
    keras.utils.set_random_seed(0)
    with gpus.mirrored(count, folder + str(count), 8) as own:
        model = shallow_detector()
        losses += [row["loss"] for row in fit(model, train, val, own, recipe)]
        assert len(model.predict_on_batch(np.zeros((3, 64, 64, 3), "float32"))[0]) == 3
weights = [load_detector(f"{folder}{count}/best.keras").get_weights() for count in (1, 2)]
far = max(float(np.abs(a - b).max()) for a, b in zip(*weights, strict=True))
print(json.dumps([*losses, far]))
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="is about TensorFlow")
def test_two_halves_train_as_the_whole_does(tmp_path):
    voc = small_voc(tmp_path / "voc", train=4)
    command = [sys.executable, "-c", TRAIN, str(voc), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole, halves, far = json.loads(done.stdout.splitlines()[-1])
    assert halves == pytest.approx(whole, rel=1e-4)
    assert far < 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gpus", "99"), "--gpus 99: TensorFlow finds "),
        (("--gpus", "2", "--set", "accumulate=4"), "accumulate 4: not on several GPUs; leave it or --gpus out"),
        (("--gpus", "2", "--workers", "a:1,b:1", "--rank", "0"), "--gpus and --workers: each worker takes all GPUs"),
    ],
)
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="is about TensorFlow")
def test_missing_gpus_are_an_error_before_the_data_is_read(arguments, message, one_error, monkeypatch, tmp_path):
    monkeypatch.setattr("cspkeras.training.data.reading.read", lambda *_: pytest.fail("the data is read"))
    line = one_error("train", "--data", tmp_path, "--run", tmp_path / "run", *arguments)
    assert line.startswith(f"cspkeras: {message}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("batch_size", (3, "auto"))
def test_a_batch_that_can_not_be_shared_out(batch_size, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    monkeypatch.setattr("tensorflow.config.list_logical_devices", lambda kind: [SimpleNamespace(name="GPU:0")] * 2)
    with pytest.raises(ValueError, match=f"^batch_size must be a multiple of the 2 GPUs. Received: {batch_size}$"):
        mirrored(2, "run", batch_size)


def test_another_backend(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(
        ValueError, match="^--gpus needs the TensorFlow backend; on JAX use --workers. Received: backend 'jax'$"
    ):
        mirrored(2, "run", 4)
