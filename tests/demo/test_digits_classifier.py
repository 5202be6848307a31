"""A classifier in 8 bits, trained on scikit-learn's digits: it agrees with its floats on images it has not seen."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from cspkeras.backbones import peleenet
from cspkeras.commands.main import main
from cspkeras.saving import exporter
from cspkeras.tflite import convert
from cspkeras.tflite.runtime import litert
from cspkeras.training.evaluation.classification import load_answers

SIDE, DIGITS = 64, tuple("0123456789")


@pytest.fixture(scope="module")
def digits():
    """((images (N, SIDE, SIDE, 3) uint8, labels) to train on, the same to measure on, every fifth)."""
    found = pytest.importorskip("sklearn.datasets").load_digits()
    images = [Image.fromarray(np.rint(image * 255 / 16).astype("uint8")) for image in found.images]
    pixels = np.stack([np.asarray(p.resize((SIDE, SIDE), Image.Resampling.BILINEAR).convert("RGB")) for p in images])
    held = np.arange(len(pixels)) % 5 == 0
    return (pixels[~held], found.target[~held]), (pixels[held], found.target[held])


@pytest.fixture(scope="module")
def trained(digits):
    """A small CSPPeleeNet that tells digits."""
    keras.utils.set_random_seed(0)
    spec = peleenet.PeleeSpec(blocks=(1, 2, 4, 2), cross_stage=True, stem=8, growth_rate=16, bottleneck=(8, 8, 16, 16))
    model = peleenet.build(spec, classes=10, input_shape=(SIDE, SIDE, 3), name="digits")
    (pixels, labels), epochs, batch = digits[0], 8, 32
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * (len(labels) // batch))
    model.compile(keras.optimizers.AdamW(rate, weight_decay=5e-3), "sparse_categorical_crossentropy")
    model.fit(pixels / np.float32(255), labels, batch, epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def folder(digits, trained, tmp_path_factory):
    """The model as a file, and some of the images as one folder a class."""
    folder = tmp_path_factory.mktemp("digits")
    exporter(trained, DIGITS)(folder / "digits.keras")
    for split, (pixels, labels) in zip(("train", "val"), digits, strict=True):
        for i in range(160):
            path = folder / "data" / split / DIGITS[labels[i]] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[i]).save(path)
    return folder


@pytest.mark.slow
def test_the_int8_file_agrees_with_the_floats(digits, trained, folder):
    arguments = ("--model", folder / "digits.keras", "--data", folder / "data", "--run", folder / "run")
    assert main(["quantize", *map(str, arguments), "--refine", "60", "--set", "epochs=1"]) == 0
    rows = json.loads((folder / "run" / "quantization.json").read_text())
    assert list(rows)[:2] == ["floats", "calibrated"] and set(rows["floats"]) == {"top1", "top5", "loss"}
    assert list(rows.values())[-1]["top1"] >= rows["floats"]["top1"] - 0.02
    images = digits[1][0] / np.float32(255)
    exact, found = trained.predict(images, verbose=0), load_answers(folder / "run" / "int8.tflite").ask(images)
    assert np.mean(exact.argmax(-1) == digits[1][1]) > 0.95
    assert np.mean(found.argmax(-1) == exact.argmax(-1)) >= 0.97


@pytest.mark.slow
def test_pooled_features_in_8_bits_point_where_the_floats_do(digits, trained, tmp_path):
    features = keras.Model(trained.input, trained.get_layer("top_pool").output)
    calibration = (image[None] / np.float32(255) for image in digits[0][0][:64])
    path = convert(features, tmp_path / "features.tflite", "int8", calibration)
    images = digits[1][0] / np.float32(255)
    exact = features.predict(images, verbose=0)
    (found,) = litert.run_cpu(path, images).outputs.values()
    found = found.reshape(exact.shape)
    cosines = np.sum(exact * found, axis=-1) / (np.linalg.norm(exact, axis=-1) * np.linalg.norm(found, axis=-1))
    assert cosines.min() >= 0.98
