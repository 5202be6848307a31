"""PeleeNet's checkpoints of PyTorch's, against the authors' code."""

import json
import runpy
from dataclasses import replace

import numpy as np
import pytest
from torch_files import mapping, tensor, write_zip

import cspkeras
from cspkeras.backbones import peleenet
from cspkeras.classification.pixels import UNIT, pixels_of
from cspkeras.precision import rebuilt
from cspkeras.saving import exporter, load_network
from cspkeras.tflite.export.any_model import prepared
from cspkeras.tflite.export.settings import file_settings
from cspkeras.training import quantize_aware

SMALL = peleenet.VARIANTS["PeleeNet"]
SMALL = replace(SMALL, blocks=(1, 2, 1, 1), stem=8, growth_rate=8, bottleneck=(4, 8, 8, 8))


@pytest.fixture(scope="module")
def tools(test_data):
    """(function of a path, tensors and `legacy` that writes a checkpoint, function of a name and shape to a tensor)."""
    folder = test_data / "goldens"
    write = runpy.run_path(str(folder / "torch_file.py"))["write"]
    return write, runpy.run_path(str(folder / "synthetic.py"))


def build(weights=None, **options):
    options = dict(classes=5, input_shape=(32, 32, 3), layout="torch", activation=None) | options
    return peleenet.build(SMALL, weights=weights, **options)


@pytest.fixture
def tensors():
    """{name: array} of a small network."""
    from cspkeras.weights.peleenet import CLASSIFIER, MODULES
    from cspkeras.weights.timm import timm_tensors

    rng = np.random.default_rng(0)
    found = {}
    for name, ((_, variable, axes),) in timm_tensors(build(), MODULES).items():
        name = name.replace(".bn.", ".norm.").replace("head.fc.", f"{CLASSIFIER}.")
        found[name] = rng.uniform(0.5, 1.5, [variable.shape[axes.index(i)] for i in range(len(axes))]).astype("float32")
    return found


@pytest.mark.integration
def test_the_published_network_answers_as_the_authors(test_data, tools, tmp_path):
    write, synthetic = tools
    shapes = json.loads((test_data / "goldens" / "peleenet" / "peleenet.json").read_text())["tensors"]
    state = {f"module.{name}": synthetic["timm_tensor"](name, tuple(shape)) for name, shape in shapes.items()}
    path = tmp_path / "peleenet.pth.tar"
    write(path, {"epoch": 120, "arch": "peleenet", "state_dict": state}, legacy=True)
    model = cspkeras.PeleeNet(weights=path, classifier_activation=None, input_shape=(96, 96, 3))
    found = model.predict(synthetic["image"](96).transpose(0, 2, 3, 1), verbose=0)
    expected = np.load(test_data / "goldens" / "peleenet" / "peleenet.npz")["logits"]
    assert np.abs(found - expected).max() < 3e-4 * np.abs(expected).max()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_selects_the_layout(tools, tensors, tmp_path, legacy):
    path = tmp_path / "x.pth"
    tools[0](
        path,
        {"state_dict": tensors | {"features.stemblock.stem1.norm.num_batches_tracked": np.arange(1)}},
        legacy=legacy,
    )
    model = build(path, layout=None)
    assert {layer.activation.__name__ for layer in model.layers if layer.name.endswith("_act")} == {"relu"}
    kernel = tensors["features.denseblock2.denselayer2.branch2c.conv.weight"]
    np.testing.assert_array_equal(model.get_layer("stage2_block2_far_conv3").kernel, kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(model.get_layer("predictions").bias, tensors["classifier.bias"])
    norm = [tensors[f"features.transition1.norm.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]
    np.testing.assert_array_equal(model.get_layer("stage1_transition_bn").get_weights(), norm)


def test_another_classifier_and_none(tools, tensors, tmp_path):
    path = tmp_path / "x.pth"
    tools[0](path, {"state_dict": tensors})
    with pytest.raises(ValueError, match="classifier.weight of layer 'predictions': expected shape .* found shape"):
        build(path, classes=7)
    stem = tensors["features.stemblock.stem1.conv.weight"].transpose(2, 3, 1, 0)
    for options in (dict(classes=7, skip_mismatch=True), dict(include_top=False)):
        np.testing.assert_array_equal(build(path, **options).get_layer("stem_conv1").kernel, stem)


def test_another_networks_file_is_told(tmp_path):
    path = write_zip(tmp_path / "x.pth", mapping(state_dict=mapping(a=tensor())))
    with pytest.raises(ValueError, match="x.pth: features.stemblock.* expected shape .* found none"):
        build(path)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (build, {"layout": "darknet", "weights": "x.pth"}, "layout must be 'torch' or None for these weights"),
        (build, {"layout": "torch", "weights": "x.weights"}, "layout must be 'darknet' or None for these weights"),
        (build, {"layout": "timm"}, "layout must be 'darknet', 'torch' or None. Received: layout='timm'"),
        (cspkeras.CSPPeleeNet, {"weights": "x.pth"}, "weights must be None or a .keras, .weights.h5 or Darknet"),
    ],
)
def test_what_contradicts_the_layout_is_an_error(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_layout_says_how_pixels_are_prepared():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 2, 3))
    expected = cspkeras.preprocess_input(pixels, layout="torch")
    np.testing.assert_allclose(pixels_of(build()).of(pixels), expected, atol=1e-5)
    np.testing.assert_allclose((pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], expected, atol=1e-5)
    assert pixels_of(build(layout="darknet")) == pixels_of(build(), layout="darknet") == UNIT


@pytest.mark.integration
def test_the_layout_and_the_weights_origin_are_kept(tmp_path):
    model, names = build(), list("abcde")
    model.origin = origin = {"source": "https://example.org/x", "license": "Apache-2.0"}
    exporter(model, names)(tmp_path / "x.keras")
    exporter(load_network(tmp_path / "x.keras"))(tmp_path / "y.keras")
    for file in ("x.keras", "y.keras"):
        loaded = load_network(tmp_path / file)
        assert (loaded.layout, loaded.origin) == ("torch", origin)
    quantized = quantize_aware(model)
    assert (quantized.layout, quantized.origin) == ("torch", origin)
    taken = file_settings(prepared(model), "int8", names, None)["input"]
    np.testing.assert_allclose(taken["mean"], [123.675, 116.28, 103.53])
    exporter(rebuilt(model))(tmp_path / "z.keras")
    plain = load_network(tmp_path / "z.keras")
    assert plain.layout is None and pixels_of(plain) == UNIT
