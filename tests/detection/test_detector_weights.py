"""Detectors load the published networks' .weights files, and then return what their cfgs return."""

import re
import runpy

import keras
import numpy as np
import pytest

import cspkeras
from cspkeras.detection.models.yolo import VARIANTS

SIZE = 64
WITH_CFG = [name for name, spec in VARIANTS.items() if spec.published.cfg]
QUICK = "YOLOv4Tiny"


def convolution(filters, size, last=False):
    kind = "activation=linear" if last else "batch_normalize=1\nactivation=leaky"
    return f"[convolutional]\nfilters={filters}\nsize={size}\nstride=1\npad=1\n{kind}\n"


def yolov3(backbone):
    """yolov3.cfg: Darknet-53's first 75 layers and the neck after them."""
    sections = re.split(r"(?m)^(?=\[)", backbone)
    start = next(i for i, section in enumerate(sections) if section.startswith("[net"))
    text = "".join(sections[start : start + 76])
    for width, back, lateral in ((512, None, None), (256, -4, 61), (128, -4, 36)):
        if back:
            text += (
                f"[route]\nlayers={back}\n{convolution(width, 1)}[upsample]\nstride=2\n[route]\nlayers=-1,{lateral}\n"
            )
        text += "".join(convolution(*((2 * width, 3) if i % 2 else (width, 1))) for i in range(6))
        text += convolution(255, 1, last=True) + "[yolo]\nmask=0,1,2\nclasses=80\n"
    return text


@pytest.fixture(scope="module")
def published(test_data, tmp_path_factory):
    """A function from a detector's name to its (cfg, .weights file), for inputs of `SIZE` and 80 classes."""
    synthetic = runpy.run_path(str(test_data / "goldens" / "synthetic.py"))
    folder = tmp_path_factory.mktemp("darknet")

    def write(name):
        cfg = VARIANTS[name].published.cfg
        source = test_data / "darknet_cfg" / f"{'darknet53' if cfg == 'yolov3' else cfg}.cfg"
        text = yolov3(source.read_text()) if cfg == "yolov3" else source.read_text()
        text = re.sub(r"(?m)^(width|height)\s*=.*$", rf"\1={SIZE}", text)
        path, weights = folder / f"{cfg}.cfg", folder / f"{cfg}.weights"
        path.write_text(text)
        if not weights.exists():
            synthetic["write_darknet"](path, weights)
        return path, weights

    yield write
    for file in folder.iterdir():
        file.unlink()


def image():
    return np.random.default_rng(0).random((1, SIZE, SIZE, 3), "float32")


def build(name, weights=None, classes=80, **options):
    return cspkeras.get_detector(name, classes=classes, input_shape=(SIZE, SIZE, 3), weights=weights, **options)


def same_outputs(found, expected):
    """Whether two models return the same maps, the second one in any order."""
    found, expected = ([np.asarray(x) for x in model(image())] for model in (found, expected))
    expected.sort(key=lambda x: -x.shape[1])
    return len(found) == len(expected) and all(
        a.shape == b.shape and np.abs(a - b).max() <= 1e-5 * np.abs(b).max()
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow) for name in WITH_CFG]
)
def test_a_detector_returns_what_its_cfg_does(published, name):
    cfg, weights = published(name)
    assert same_outputs(build(name, weights), cspkeras.from_darknet(cfg, weights))
    weights.unlink()


def test_the_anchors_of_a_darknet_file_are_pixels(published):
    assert build(QUICK, published(QUICK)[1]).anchors.boxes[0] == ((23, 27), (37, 58), (81, 82))


@pytest.fixture(scope="module")
def first_29(published, tmp_path_factory):
    """yolov4-tiny.conv.29 of the same weights."""
    cfg, weights = published(QUICK)
    layers = [layer for layer in cspkeras.from_darknet(cfg).layers if re.match(r"layer\d+_(conv|bn)$", layer.name)]
    floats = sum(layer.count_params() for layer in layers if int(re.search(r"\d+", layer.name)[0]) < 29)
    path = tmp_path_factory.mktemp("first") / "yolov4-tiny.conv.29"
    path.write_bytes(weights.read_bytes()[: 20 + 4 * floats])
    return path


def test_the_first_layers_alone(published, first_29):
    cfg, _ = published(QUICK)
    # Layer 28 is the map that the first head reads.
    expected = cspkeras.from_darknet(cfg, first_29).get_layer("layer28_act")
    for classes in (80, 3):
        keras.utils.set_random_seed(0)
        found, fresh = build(QUICK, first_29, classes), build(QUICK, None, classes)
        neck = found.get_layer("neck_p5_conv2_act")
        a, b = (keras.Model(keras.utils.get_source_inputs(x.output)[0], x.output)(image()) for x in (neck, expected))
        np.testing.assert_allclose(a, b, atol=1e-5)
        head = "head_p5_scores"
        assert found.get_layer(head).kernel.shape == fresh.get_layer(head).kernel.shape
        assert np.abs(found.get_layer(head).kernel).max() < 0.1  # as initialized; the file's are ten times larger


def test_first_layers_that_end_within_a_layer_are_an_error(first_29, tmp_path):
    path = tmp_path / "x.conv.28"
    path.write_bytes(first_29.read_bytes()[:-4])
    with pytest.raises(ValueError, match="x.conv.28: continues after yolov4_tiny's layer 'neck_p5_conv1': expected 0"):
        build(QUICK, path)


def test_another_number_of_classes(published):
    _, weights = published(QUICK)
    with pytest.raises(ValueError, match="holds the heads of 80 classes. Expected: yolov4_tiny's 3, or skip_"):
        build(QUICK, weights, 3)
    full, found = build(QUICK, weights), build(QUICK, weights, 3, skip_mismatch=True)
    for layer in full.layers:
        if not layer.name.startswith("head_"):
            for a, b in zip(layer.get_weights(), found.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    assert all(np.abs(found.get_layer(f"head_{level}_boxes").kernel).max() < 0.1 for level in ("p4", "p5"))
    assert same_outputs(build(QUICK, weights, skip_mismatch=True), full)


@pytest.mark.parametrize(("change", "message"), [(-4, "ends in yolov4_tiny's head 'head_p4'"), (4, "continues after")])
def test_a_file_of_another_length_names_the_place(published, tmp_path, change, message):
    content = published(QUICK)[1].read_bytes()
    path = tmp_path / "x.weights"
    path.write_bytes(content[:change] if change < 0 else content + bytes(change))
    with pytest.raises(ValueError, match=message):
        build(QUICK, path, skip_mismatch=True)


@pytest.mark.integration
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_keras_files_and_other_classes(tmp_path, suffix):
    keras.utils.set_random_seed(1)
    source, path = build(QUICK, classes=2), tmp_path / f"source{suffix}"
    (source.save if suffix == ".keras" else source.save_weights)(path)
    assert same_outputs(build(QUICK, path, 2), source)
    with pytest.raises(ValueError, match=f"source{suffix}: holds no weights for this yolov4_tiny"):
        build(QUICK, path, 3)
    found = build(QUICK, path, 3, skip_mismatch=True)
    for name in ("stem_conv1", "neck_p4_conv"):
        np.testing.assert_array_equal(found.get_layer(name).kernel, source.get_layer(name).kernel)


@pytest.mark.integration
def test_a_keras_file_of_another_network_is_an_error_even_then(tmp_path):
    path = tmp_path / "other.weights.h5"
    cspkeras.CSPPeleeNetPRN(2, (SIZE, SIZE, 3)).save_weights(path)
    with pytest.raises(ValueError, match="other.weights.h5: holds no weights that fit yolov4_tiny's layer 'stem_conv"):
        build(QUICK, path, 2, skip_mismatch=True)


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ("x.txt", "weights must be None or a .keras"),
        ("imagenet", "must be a path or .coco."),
        ("missing.weights", "missing; expected"),
    ],
)
def test_other_weights_are_an_error(weights, error):
    with pytest.raises((ValueError, FileNotFoundError), match=error):
        build(QUICK, weights)
