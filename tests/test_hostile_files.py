"""Files of models that claim what they do not hold: each ends in one line that names it, nothing is allocated first."""

import io
import json
import re
import struct
import tempfile
import zipfile
from functools import cache

import h5py
import keras
import numpy as np
import pytest
from fuzz_models import (
    classifier,
    detector,
    read_bundled,
    read_npz,
    read_onnx,
    read_recipe,
    read_state,
    read_timm,
    yolox,
)
from numpy_darknet import CLASSIFIER, cfg_text

from cspkeras import from_darknet, limits
from cspkeras.saving import load_model
from cspkeras.tflite.device.contents import look_into
from cspkeras.tflite.device.detect import Detector
from cspkeras.tflite.export import metadata
from cspkeras.training.run.state import read_run, save_state

TFL3 = b"\x1c\0\0\0TFL3" + bytes(100)
INPUT = {"height": 8, "width": 8, "colors": "RGB", "mean": 0.0, "scale": 1.0, "resize": "letterbox", "fill": 0}
SETTINGS = {"format": 1, "task": "detection", "model": "x", "precision": "float32", "boxes": "cyxhw", "input": INPUT}
THRESHOLDS = {"score_threshold": 0.5, "iou_threshold": 0.5}


def archive(path, members, front=b"", flags=None, method=None, size=None):
    """Write a zip archive, deflated, after other bytes; `flags`, `method` and `size` are put into its headers."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    packed = bytearray(file.getvalue())
    for signature, base in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(signature), bytes(packed)):
            for value, kind, place in ((flags, "<H", base), (method, "<H", base + 2), (size, "<I", base + 16)):
                if value is not None:
                    struct.pack_into(kind, packed, found.start() + place, value)
    path.write_bytes(front + packed)
    return path


@cache
def saved(model):
    """Return the members of the .keras file of a model that a function gives."""
    with tempfile.TemporaryDirectory() as folder:
        model().save(f"{folder}/x.keras")
        with zipfile.ZipFile(f"{folder}/x.keras") as file:
            return {name: file.read(name) for name in file.namelist()}


def keras_file(path, change, member="config.json", model=detector):
    """Write a model's .keras file with one member changed by a function."""
    members = saved(model)
    return archive(path, members | {member: change(members[member])})


def config(change):
    """Return a function of a config's JSON to that after a function has changed it."""

    def changed(text):
        value = json.loads(text)
        change(value["config"])
        return json.dumps(value)

    return changed


def claim(content):
    """Replace a dataset of an HDF5 file by one of a million times a million numbers, none of which is there."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as root:
        root.create_dataset("layers/vars/claims", (10**6, 10**6), "f4", chunks=(16, 16))
    return file.getvalue()


def sequential(units):
    layers = [{"class_name": "Dense", "config": {"units": units, "name": "d"}, "build_config": {"input_shape": [1, 8]}}]
    inner = {"name": "s", "layers": layers, "build_input_shape": [1, 8]}
    return json.dumps({"class_name": "Sequential", "module": "keras", "config": inner, "registered_name": None})


def relus(count):
    layer = {"class_name": "ReLU", "module": "keras.layers", "config": {}, "registered_name": None}
    return json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": [layer] * count}})


KERAS = {
    "a billion classes": (lambda p: keras_file(p, config(lambda c: c.update(classes=10**9))), "1,000,000,000 classes"),
    "a neck of a million blocks": (
        lambda p: keras_file(p, config(lambda c: c["neck_options"].update(blocks=10**6)), model=yolox),
        "more than the [0-9,]+ weights that the file can hold",
    ),
    "a neck of a million channels": (
        lambda p: keras_file(p, config(lambda c: c["neck_options"].update(width=10**6))),
        "more than the [0-9,]+ numbers that the file can hold",
    ),
    "a layer of 10^12 numbers": (
        lambda p: keras_file(p, lambda _: sequential(10**12)),
        "numbers that the file can hold",
    ),
    "a hundred thousand layers": (lambda p: keras_file(p, lambda _: relus(10**5)), "100,000 layers; at most 5,000"),
    "nested deeply": (lambda p: keras_file(p, lambda _: "[" * 10**5), "recursion"),
    "weights that are not there": (lambda p: keras_file(p, claim, "model.weights.h5"), "1,000,000,000,000 numbers"),
    "a name of ten million letters": (
        lambda p: keras_file(p, config(lambda c: c.update(name="a" * 10**7))),
        "10,000,000 characters of a name",
    ),
    "text without end": (
        lambda p: keras_file(p, lambda text: text + b" " * 2**24),
        "bytes of text; at most 16,777,216",
    ),
    "encrypted": (lambda p: archive(p, {"config.json": "{}"}, flags=1), "'config.json' is encrypted"),
    "of an unknown method": (lambda p: archive(p, {"config.json": "{}"}, method=99), "must be stored as it is or defl"),
}


def assert_refused(read, path, message):
    """Check that reading is an OSError or ValueError of one line that names the file."""
    with pytest.raises((OSError, ValueError), match=message) as caught:
        read(path)
    assert len(str(caught.value).splitlines()) == 1 and str(path) in str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize("case", KERAS)
def test_keras_files(case, tmp_path):
    write, message = KERAS[case]
    path = write(tmp_path / "x.keras")
    add_weight = keras.Layer.add_weight
    assert_refused(lambda path: load_model(path, "a model"), path, message)
    assert keras.Layer.add_weight is add_weight


def test_a_limit_may_be_raised(tmp_path, monkeypatch):
    path = archive(tmp_path / "x.keras", {"config.json": b" " * 10**6})
    monkeypatch.setenv("CSPKERAS_MAX_UNPACKED", "999999")
    message = "1,000,000 unpacked bytes; at most 999,999 are accepted, set CSPKERAS_MAX_UNPACKED for more"
    assert_refused(lambda path: load_model(path, "a model"), path, message)
    monkeypatch.setenv("CSPKERAS_MAX_UNPACKED", "1000000")
    assert_refused(lambda path: load_model(path, "a model"), path, "not a .keras file that can be loaded")
    monkeypatch.setenv("CSPKERAS_MAX_UNPACKED", "much")
    with pytest.raises(
        ValueError, match="CSPKERAS_MAX_UNPACKED must be a whole number of unpacked bytes. Rec.* 'much'"
    ):
        _ = limits.UNPACKED.most


def npy(header, content=b""):
    text = repr(header).encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text) + 1) + text + b"\n" + content


FLOATS = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
NPZ = {
    "a header that lies": (
        lambda p: archive(p, {"a.npy": npy(FLOATS, bytes(8))}),
        r"\(1000000, 1000000\), and holds 8 b",
    ),
    "a negative shape": (lambda p: archive(p, {"a.npy": npy({**FLOATS, "shape": (-1, -2)}, bytes(8))}), "-1, -2"),
    "a pickle": (lambda p: archive(p, {"a.npy": npy({**FLOATS, "descr": "|O"}, bytes(8))}), "object of shape"),
    "no array": (lambda p: archive(p, {"a.npy": b"nothing"}), "not a whole .npz file"),
    "encrypted": (lambda p: archive(p, {"a.npy": npy(FLOATS)}, flags=1), "'a.npy' is encrypted"),
    "of an unknown method": (lambda p: archive(p, {"a.npy": npy(FLOATS)}, method=99), "must be stored as it is"),
    "zeros that unpack to more": (
        lambda p: archive(p, {"a.npy": b""}, size=2**31),
        "2,147,483,648 unpacked bytes; at m",
    ),
}


@pytest.mark.parametrize("case", NPZ)
def test_npz_files(case, tmp_path):
    write, message = NPZ[case]
    path = write(tmp_path / "x.npz")
    for read in (read_state, read_npz, read_bundled):
        assert_refused(lambda path, read=read: read(tmp_path, path), path, message)


ROW = {"epoch": 1, "loss": 0.5}
META = {"step": 3, "steps": 2, "rows": [ROW], "run": {"recipe": {}, "model": {}}}
STATES = {
    "without a run": ({"run": None}, "lacks a valid run"),
    "a negative step": ({"step": -5}, "step -5 does not fit"),
    "a step of 10^18": ({"step": 10**18}, "step 1000000000000000000 does not fit"),
    "epochs of 10^18 steps": ({"step": 10**18, "steps": 10**18, "rows": [{"epoch": 2}]}, "rows are not one of numbers"),
    "no step": ({"step": "x"}, "lacks a valid step"),
    "rows without end": ({"rows": ["a" * 2**24]}, "bytes of text; at most 16,777,216"),
}


@pytest.mark.parametrize("case", STATES)
def test_states_of_runs(case, tmp_path):
    change, message = STATES[case]
    path = tmp_path / "last.npz"
    save_state(path, detector(), META | change, metric=[np.zeros(())])
    assert_refused(read_run, path, message)


def tflite(settings=None, labels="a\n", **options):
    text = settings if isinstance(settings, str) else json.dumps(SETTINGS | THRESHOLDS | (settings or {}))
    return lambda path: archive(path, {"cspkeras.json": text, "labels.txt": labels}, TFL3, **options)


TFLITE = {
    "labels of ten million lines": (
        tflite(labels="a\n" * 10**7),
        "labels.txt has 20,000,000 bytes; at most 16,777,216",
    ),
    "a label of ten million letters": (tflite(labels="a" * 10**7), "line 1 has 10,000,000 characters"),
    "settings without end": (tflite(" " * 2**25), "cspkeras.json has 33,554,432 bytes"),
    "encrypted": (tflite(flags=1), "encrypted"),
    "of an unknown method": (tflite(method=99), "can't be unpacked: it is neither"),
    "nested deeply": (tflite("[" * 10**5), "settings are damaged: .*recursion"),
}
DETECTORS = {
    "without a threshold": (tflite(json.dumps(SETTINGS)), "score_threshold: None; accepted here: a number from 0 to 1"),
    "a threshold that is none": (tflite({"iou_threshold": float("nan")}), "iou_threshold: nan"),
    "a scale without end": (tflite({"input": INPUT | {"scale": 10**400}}), "input.scale: 1"),
}


@pytest.mark.parametrize("case", TFLITE | DETECTORS)
def test_tflite_files(case, tmp_path):
    write, message = (TFLITE | DETECTORS)[case]
    path = write(tmp_path / "x.tflite")
    assert_refused(Detector.read_settings, path, message)
    if case in TFLITE:
        assert_refused(metadata.read, path, message.partition(": .*")[0])
    assert not look_into(path).inputs


def test_lists_of_a_flatbuffer_that_share_their_bytes(tmp_path):
    """A thousand tables, each with the same list of a thousand numbers: together more than the file may hold."""
    from cspkeras.tflite.device.flatbuffer import Table

    count = 1000
    table = struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)  # a vtable, a table and its offset
    numbers = struct.pack("<I", count) + bytes(4 * count)
    data = table + numbers
    assert len(Table(data, 8).numbers(0)) == count
    one = Table(data, 8)
    with pytest.raises(ValueError, match="a list reaches beyond the end"):
        for _ in range(5):
            one.numbers(0)


def many_sections(count):
    return cfg_text(CLASSIFIER, 8, 8) + "[shortcut]\nfrom=-1\nactivation=linear\n" * count


CFG = {
    "three thousand layers": (
        many_sections(3000),
        "501 layers; at most 500 are accepted, set CSPKERAS_MAX_SECTIONS",
    ),
    "two hundred layers of seven each": (
        cfg_text(CLASSIFIER[:1], 8, 8) + "[reorg]\nstride=1\n" * 200,
        "201 layers are too deep a network for Keras",
    ),
    "a hundred thousand": (many_sections(10**5), "501 layers"),
    "text without end": ("[net]\n" + "#" * 2**24, "bytes of text"),
    "routes that double": ("[net]\nheight=64\nwidth=64\n" + "[route]\nlayers=-1,-1\n" * 40, "layer -1 does not exist"),
    "a route of a thousand": (
        cfg_text(CLASSIFIER[:2], 8, 8) + f"[route]\nlayers={'-1,' * 999}-1\n",
        "at most 100 layers. Received: 1,000",
    ),
    "too many weights": (
        "[net]\nheight=64\nwidth=64\n" + "[convolutional]\nfilters=60000\nsize=1\n" * 9,
        "weights; at most 200,000,000",
    ),
}


@pytest.mark.parametrize("case", CFG)
def test_cfgs(case, tmp_path):
    text, message = CFG[case]
    (tmp_path / "x.cfg").write_text(text)
    assert_refused(from_darknet, tmp_path / "x.cfg", message)


def safetensors(shape, kind="F32", size=0):
    head = json.dumps({"head.fc.weight": {"dtype": kind, "shape": shape, "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(size)


SAFETENSORS = {
    "a million classes of nothing": (safetensors([10**6, 0]), "expected .classes, channels., found"),
    "a million classes of a byte": (safetensors([10**6, 1], "U8", 10**6), "1,000,000 classes; at most 100,000"),
    "numbers that are not there": (safetensors([10**6, 10**6]), "not a safetensors file"),
    "a head without end": (struct.pack("<Q", 2**60) + b"{}", "not a safetensors file"),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors_files(case, tmp_path):
    content, message = SAFETENSORS[case]
    (tmp_path / "x.safetensors").write_bytes(content)
    assert_refused(lambda path: read_timm(tmp_path, path), tmp_path / "x.safetensors", message)
    assert classifier()


@pytest.mark.parametrize("change", ["claims", "lies"])
def test_onnx_files(change, tmp_path):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[10**6, 10**6], raw_data=bytes(8))
    message = "claims 1,000,000,000,000 numbers"
    if change == "lies":
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        message = "lies in another file"
    graph = onnx.GraphProto(initializer=[tensor])
    (tmp_path / "x.onnx").write_bytes(onnx.ModelProto(graph=graph).SerializeToString())
    assert_refused(lambda path: read_onnx(tmp_path, path), tmp_path / "x.onnx", message)


RECIPES = {
    "nested deeply": ("x = " + "[" * 10**5, "not TOML"),
    "a number of 400 digits": ("learning_rate = 1" + "0" * 400, "learning_rate must be a number"),
    "a number of 5000 digits": ("epochs = 1" + "0" * 5000, "not TOML"),
    "text without end": ("#" * 2**25, "bytes of text"),
    "no text": ("\udcff", "not TOML"),
}


@pytest.mark.parametrize("case", RECIPES)
def test_recipes(case, tmp_path):
    text, message = RECIPES[case]
    (tmp_path / "x.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert_refused(lambda path: read_recipe(tmp_path, path), tmp_path / "x.toml", message)
