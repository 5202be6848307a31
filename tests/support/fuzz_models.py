"""The kinds of files of models, weights, runs and recipes, for benchmarks/fuzz.py."""

import contextlib
from functools import cache

import numpy as np
from binary_mutations import (
    h5,
    json_text,
    members,
    npy,
    npz_meta,
    one_of,
    protobuf,
    random_bytes,
    safetensors,
    several_pickles,
    text_numbers,
    words,
)
from mutations import Kind

zipped = one_of(members)


@cache
def detector():
    """A compiled detector that files are loaded into."""
    from small_networks import shallow_detector

    model = shallow_detector()
    model.compile()
    model.optimizer.build(model.trainable_variables)
    return model


@cache
def classifier():
    """A classifier in timm's layout."""
    from small_timm import build

    return build(classes=5)


@cache
def yolox():
    """A small detector of YOLOX's."""
    from cspkeras.detection.models import yolox

    spec = yolox.YoloxSpec(8, 1, True)
    return yolox.build(spec, classes=3, input_shape=(64, 64, 3), weights=None, name="small")


def keras_files(folder):
    """A detector, a classifier with names, and a Sequential."""
    import keras

    from cspkeras.saving import exporter

    detector().save(folder / "detector.keras")
    exporter(classifier(), list("abcde"))(folder / "classifier.keras")
    x = [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential(x).save(folder / "sequential.keras")
    return [folder / f"{name}.keras" for name in ("detector", "classifier", "sequential")]


def read_keras(folder, file):
    from cspkeras.saving import load_model

    load_model(file, "a model")


def h5_weights(folder):
    detector().save_weights(folder / "x.weights.h5")
    return [folder / "x.weights.h5"]


def read_h5(folder, file):
    from cspkeras.detection.loading import load_weights

    load_weights(detector(), file)


def states(folder):
    from cspkeras.training.run.state import save_state

    row = {"epoch": 1, "loss": 0.5, "val_mAP50": 0.1}
    meta = {"step": 3, "steps": 2, "rows": [row], "run": {"recipe": {"epochs": 2}, "model": {"classes": ["a", "b"]}}}
    metric = [np.zeros(()), np.zeros(())]
    save_state(folder / "last.npz", detector(), {**meta, "averaged": 3}, metric=metric, average=detector().weights)
    return [folder / "last.npz"]


def read_state(folder, file):
    from cspkeras.training.run.state import load_state, read_run

    read_run(file)
    load_state(file, detector(), groups={"metric": None, "average": detector().weights})


def arrays(folder):
    np.savez_compressed(folder / "x.npz", a=np.zeros((2, 8, 8, 3), "f4"), b=np.arange(9))
    return [folder / "x.npz"]


def read_npz(folder, file):
    from cspkeras.commands.reading import read_arrays

    read_arrays(file)


def bundled(folder):
    variables = {variable.path: np.asarray(variable, "f2") for variable in detector().variables}
    np.savez(folder / "x.npz", **variables)
    return [folder / "x.npz"]


def read_bundled(folder, file):
    from cspkeras.weights.bundled import load_bundled

    load_bundled(detector(), file)


def cfgs(folder):
    from numpy_darknet import CLASSIFIER, DETECTOR, EVERYTHING, cfg_text

    files = []
    for name, network in (("classifier", CLASSIFIER), ("detector", DETECTOR), ("everything", EVERYTHING)):
        files.append(folder / f"{name}.cfg")
        files[-1].write_text(cfg_text(network, 8, 8))
    return files


def read_cfg(folder, file):
    from cspkeras import from_darknet

    from_darknet(file)


def darknet_weights(folder):
    from numpy_darknet import CLASSIFIER, save

    return [save(folder, CLASSIFIER)[1]]


def read_weights(folder, file):
    from cspkeras import from_darknet

    from_darknet(folder / "net.cfg", file)


def onnx_files(folder):
    from onnx_yolox import write_yolox

    return [write_yolox(folder / "x.onnx", 8, 1, True, 3, 64)]


def read_onnx(folder, file):
    from cspkeras.weights.yolox import load_yolox

    load_yolox(yolox(), file, skip_mismatch=True)


def timm_files(folder):
    from small_timm import save

    return [save(classifier(), folder / "x.safetensors")]


def read_timm(folder, file):
    from cspkeras.backbones.timm_layout import MODULES
    from cspkeras.weights.timm import classifier_shape, load_timm_file

    classifier_shape(file)
    load_timm_file(file, classifier(), MODULES)


def torch_checkpoints(folder):
    from torch_files import mapping, name, plain, tensor, write_legacy, write_zip

    program = mapping(meta=plain({"names": ["a", "b"], "log": (1.5, {})}), log=name("x.Log") + b")R", a=tensor())
    return [write_zip(folder / "zip.pth", program), write_legacy(folder / "legacy.pth", program)]


def read_checkpoint(folder, file):
    from cspkeras.weights.torch_file import read_torch

    read_torch(file)


def tflite_files(folder):
    from cell_detector import write

    return [write(folder / "x.tflite")]


def read_tflite(folder, file):
    """What any command asks of a file before a runtime loads it."""
    from cspkeras.tflite.device.contents import look_into
    from cspkeras.tflite.device.detect import Detector
    from cspkeras.tflite.export import metadata

    look_into(file)
    with contextlib.suppress(ValueError):
        Detector.read_settings(file)
    metadata.read(file)


def recipes(folder):
    from cspkeras.training.recipes.recipe import FOLDER

    files = [folder / source.name for source in sorted(FOLDER.glob("*.toml"))]
    for file in files:
        file.write_bytes((FOLDER / file.name).read_bytes())
    return files


def read_recipe(folder, file):
    from cspkeras.training.recipes.recipe import load_recipe

    load_recipe(file)


def label_files(folder):
    (folder / "x.txt").write_text("cat\ndog\nbird\n")
    return [folder / "x.txt"]


def read_label_file(folder, file):
    from cspkeras.tflite.device.labels import read_labels

    read_labels(file)


def _meta(content, rng):
    return members(content, rng, {"meta.npy": npz_meta, ".npy": npy})


def _settings(content, rng):
    return members(content, rng, {".json": json_text})


KINDS = {
    "keras": Kind(keras_files, read_keras, zipped),
    "weights.h5": Kind(h5_weights, read_h5, one_of(h5)),
    "state.npz": Kind(states, read_state, one_of(members, _meta)),
    "arrays.npz": Kind(arrays, read_npz, zipped),
    "bundled.npz": Kind(bundled, read_bundled, zipped),
    "cfg": Kind(cfgs, read_cfg, one_of(text_numbers)),
    "weights": Kind(darknet_weights, read_weights, one_of(words, random_bytes)),
    "onnx": Kind(onnx_files, read_onnx, one_of(protobuf)),
    "safetensors": Kind(timm_files, read_timm, one_of(safetensors)),
    "pth": Kind(torch_checkpoints, read_checkpoint, one_of(members, several_pickles, words, random_bytes)),
    "tflite": Kind(tflite_files, read_tflite, one_of(words, _settings, _settings)),
    "recipe": Kind(recipes, read_recipe, one_of(text_numbers)),
    "labels": Kind(label_files, read_label_file, one_of(text_numbers)),
}
