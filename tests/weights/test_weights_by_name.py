"""Weights by name: the table of published files, and constructors that take them from a server on this machine."""

import dataclasses
import hashlib
import json
import re

import keras
import numpy as np
import pytest
from file_server import serving
from onnx_yolox import write_yolox

import cspkeras
from cspkeras.analysis.table import weights_table
from cspkeras.precision import rebuilt
from cspkeras.registry import BACKBONE, NETWORKS
from cspkeras.timm import FAMILIES
from cspkeras.training import quantize_aware
from cspkeras.weights.published.coco import COCO
from cspkeras.weights.published.named import named, published
from cspkeras.weights.published.rows import PUBLISHED

FILES = {f"{network} {name}": file for network, files in PUBLISHED.items() for name, file in files.items()}


@pytest.mark.parametrize("name", FILES)
def test_every_row_is_complete(name):
    file, (network, kind) = FILES[name], name.split()
    digits = {"sha256": (64, 8), "git": (40,)}
    if file.checksum:
        algorithm, digest = file.checksum.split(":")
        assert len(digest) in digits[algorithm] and re.fullmatch("[0-9a-f]+", digest)
    fetched = file.license and not file.hub and not file.bundled
    assert not fetched or (file.checksum or file.size), "nothing proves it"
    assert bool(file.stated) == bool(file.license) and file.proof and file.source
    assert file.classes == {"coco": COCO, "imagenet": 1000}.get(kind, file.classes)
    own = NETWORKS[network]
    assert (own.kind == BACKBONE) == (kind == "imagenet")
    if file.figure and kind == "coco":
        ap, ap50 = own.spec.published.ap, own.spec.published.ap50
        assert file.figure == f"{f'AP {ap}' if ap else f'AP50 {ap50}'} @{own.spec.published.size}"


def test_no_file_that_is_fetched_has_the_name_or_the_checksum_of_another():
    fetched = [file for file in FILES.values() if not file.hub]
    for values in ([file.name for file in fetched], [file.checksum for file in fetched if file.checksum]):
        assert len(set(values)) == len(values)


def test_the_third_partys_export_of_yolox_nano_is_not_the_published_file(test_data):
    digest = hashlib.sha256((test_data / "models/yolox_nano.onnx").read_bytes()).hexdigest()
    assert digest not in PUBLISHED["YOLOXNano"]["coco"].checksum


def test_cocos_classes_are_in_its_order(test_data):
    found = json.loads((test_data / "data/coco_free/instances.json").read_text())["categories"]
    assert tuple(one["name"] for one in found) == COCO


def test_timms_files_are_of_the_networks_in_its_layout():
    for name, spec in {name: spec for family in FAMILIES for name, spec in family.VARIANTS.items()}.items():
        assert ("." in spec.timm) == (name in PUBLISHED)
        owner = "munehiro-k" if name.startswith("CSPNeXt") else "timm"  # as timm 1.0.31 says
        assert "." not in spec.timm or PUBLISHED[name]["imagenet"].hub == f"{owner}/{spec.timm}"


@pytest.mark.parametrize("weights", [None, "x.keras", "folder/coco", "net.conv.137"])
def test_what_is_no_name_stays(weights):
    assert named("YOLOXNano", weights) == weights


def test_a_file_called_like_a_name_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").touch()
    assert named("YOLOXNano", "coco") == "coco"


def test_a_folder_called_like_a_name_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").mkdir()
    assert published("YOLOXNano", "coco") is PUBLISHED["YOLOXNano"]["coco"]


@pytest.mark.parametrize(("network", "layout"), [("PeleeNet", "torch"), ("CSPResNet50", "timm")])
def test_another_layout_is_an_error_before_anything_is_fetched(network, layout, monkeypatch):
    monkeypatch.setattr("cspkeras.weights.published.named.fetched", None)
    with pytest.raises(
        ValueError, match=f"layout must be '{layout}' or None for {network}.*Received: layout='darknet'"
    ):
        getattr(cspkeras, network)(weights="imagenet", layout="darknet")


@pytest.mark.parametrize(
    ("network", "weights", "message"),
    [
        ("YOLOXNano", "cocoo", "weights must be a path or the name of YOLOXNano's published ones, such as coco. "),
        ("YOLOXNano", "imagenet", "such as bccd, coco. "),
        ("YOLOXTiny", "bccd", "weights of YOLOXTiny must be a path or 'coco'. "),
        ("YOLOv4", "imagenet", "weights of YOLOv4 must be a path or 'coco'. "),
        ("CSPPeleeNet", "imagenet", "weights must be a path: none of CSPPeleeNet are published; `cspkeras models --w"),
        ("ResNet10", "imagenet", "have no licence or lie on Google Drive alone: get them from https://github.com/Wong"),
        ("ResNet10", "coco", "weights 'imagenet' of ResNet10 have no licence or lie on Google Drive alone: get"),
        ("CSPResNet50PANetSPP", "coco", "get them from https://drive.google.com/.* and give the path of the file. "),
        ("YOLOv4", "coco@v1", "weights 'coco' of YOLOv4 have one revision: leave @v1 out. "),
    ],
)
def test_another_name_is_an_error_with_what_there_is(network, weights, message):
    with pytest.raises(ValueError, match=rf"{message}.*Received: weights='{weights}'$"):
        getattr(cspkeras, network)(weights=weights)


def test_the_table_has_every_file_of_the_registrys_networks():
    header, *lines, note = weights_table()
    assert [line.split()[:2] for line in lines] == sorted(
        [network, name] for network, files in PUBLISHED.items() if network in NETWORKS for name in files
    )
    (nano,) = [line for line in lines if line.startswith("YOLOXNano") and " coco " in line]
    assert {"AP", "25.8", "@416", "912,159", "1.047", "0.9", "Apache-2.0", "sha256"} <= set(nano.split())
    with pytest.raises(ValueError, match="no network's name matches 'Z'; there are CS3Dark"):
        list(weights_table("Z"))


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    """A YOLOX-Nano of 80 classes with random weights."""
    path = tmp_path_factory.mktemp("onnx") / "yolox_nano.onnx"
    write_yolox(path, 16, 1, True, 80, 32)
    return path


@pytest.fixture
def server(onnx_file, monkeypatch, tmp_path):
    """A mirror of that file, which is the published one as long as the test lasts."""
    content = onnx_file.read_bytes()
    row = PUBLISHED["YOLOXNano"]["coco"]
    row = dataclasses.replace(row, size=len(content), checksum=f"sha256:{hashlib.sha256(content).hexdigest()}")
    monkeypatch.setitem(PUBLISHED["YOLOXNano"], "coco", row)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with serving(content) as server:
        monkeypatch.setenv("CSPKERAS_MIRROR", server.url)
        yield server


def nano(**options):
    return cspkeras.YOLOXNano(input_shape=(32, 32, 3), **options)


@pytest.mark.integration
def test_published_weights_bring_their_classes(server, onnx_file):
    model, same = nano(weights="coco"), nano(weights=onnx_file)
    for one, other in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.class_names == COCO and same.class_names != COCO and same.origin is None
    assert server.requests == [("/yolox_nano.onnx", None)]
    assert model.origin == {"source": PUBLISHED["YOLOXNano"]["coco"].url, "license": "Apache-2.0"}


@pytest.mark.integration
def test_a_detector_keeps_where_its_weights_are_from(make_detector, tmp_path):
    model = make_detector()
    model.origin = origin = {"source": "https://example.org/x", "license": "Apache-2.0"}
    model.save(tmp_path / "x.keras")
    for kept in (keras.models.load_model(tmp_path / "x.keras"), keras.models.clone_model(model), rebuilt(model)):
        assert kept.origin == origin
    assert quantize_aware(model).origin == origin


@pytest.mark.integration
def test_other_classes_leave_the_predictions_as_initialized_and_say_so(server, caplog):
    model = nano(classes=["cat", "dog"], weights="coco")
    assert "YOLOXNano(weights='coco'): is of 80 classes, not 2: their predictions stay as initialized" in caplog.text
    assert model.class_names == ("cat", "dog")
    assert np.ptp(model.get_layer("head_p3_classes").bias) == 0
    assert np.ptp(model.get_layer("head_p3_boxes").bias) > 0


@pytest.mark.integration
def test_classes_of_the_same_number_are_called_as_given(server, caplog):
    names = [f"thing {i}" for i in range(80)]
    assert nano(classes=names, weights="coco").class_names == tuple(names)
    assert "its 80 classes are called as given here" in caplog.text


def test_a_wrong_checksum_is_an_error_of_the_constructor(server):
    server.content = server.content[::-1]
    with pytest.raises(OSError, match=f"^{server.url}/yolox_nano.onnx: expected sha256 .*; removed, give the path of"):
        nano(weights="coco")


def test_a_wrong_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match="YOLOXNano.* unexpected keyword argument 'size'"):
        cspkeras.YOLOXNano(weights="coco", size=3)
