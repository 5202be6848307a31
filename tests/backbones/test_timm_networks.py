"""timm's CS3 networks and CSPNeXt: held against timm's answers, their tensors, and the preparation of their images."""

import json
import runpy
from dataclasses import replace

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from small_timm import save
from untrained import calibrate_norms

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.backbones import cs3, cs3_gated, cspnext
from cspkeras.backbones.assembly import Preparation
from cspkeras.classification.imagenet import preparation_of
from cspkeras.classification.pixels import UNIT, Pixels, pixels_of
from cspkeras.saving import exporter, load_network
from cspkeras.training import calibrate, quantize_aware
from cspkeras.weights.published.rows import PUBLISHED

GOLDENS = "cs3darknet_focus_m", "cs3darknet_m", "cs3edgenet_x", "cs3sedarknet_l", "cspnext_tiny"
LARGE = {"cs3edgenet_x", "cs3sedarknet_l"}
ONES = (1, 1, 1, 1)
SMALL = {  # what every block of the families is in, at eight channels
    "CS3DarknetFocusS": (cs3, cs3.MODULES, cs3.CS3Spec("cs3darknet_focus_s.x", 8, ONES, focus=True)),
    "CS3SEEdgeNetX": (cs3_gated, cs3.MODULES, cs3.CS3Spec("cs3se_edgenet_x.x", 8, ONES, edge=True, squeeze=1 / 4)),
    "CSPNeXtTiny": (cspnext, cspnext.MODULES, cspnext.CSPNeXtSpec("cspnext_tiny.x", 8, ONES)),
}


def build(name, **options):
    family, _, spec = SMALL[name]
    return family.build(spec, **{"input_shape": (32, 32, 3), "classes": 3, **options})


@pytest.mark.integration
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else []) for name in GOLDENS]
)
def test_a_network_answers_as_in_timm(test_data, tmp_path, name):
    synthetic = runpy.run_path(str(test_data / "goldens" / "synthetic.py"))
    about = json.loads((test_data / "goldens" / "timm" / f"{name}.json").read_text())
    tensors = {tensor: synthetic["timm_tensor"](tensor, tuple(shape)) for tensor, shape in about["tensors"].items()}
    save_file(tensors, tmp_path / "x.safetensors")
    model = cspkeras.from_timm(name, tmp_path / "x.safetensors", None, input_shape=(96, 96, 3))
    found = np.asarray(model(synthetic["image"](96).transpose(0, 2, 3, 1)))
    expected = np.load(test_data / "goldens" / "timm" / f"{name}.npz")["logits"]
    assert np.abs(found - expected).max() < 3e-4 * np.abs(expected).max()
    assert complexity(model).trainable == about["trainable"]
    prepared, theirs = preparation_of(cspkeras.registry.name_of(model)), about["default_cfg"]
    assert [list(prepared.mean), list(prepared.deviation)] == [theirs["mean"], theirs["std"]]
    assert (prepared.crop, prepared.interpolation) == (theirs["crop_pct"], theirs["interpolation"])


@pytest.mark.parametrize("name", SMALL)
def test_a_file_gives_every_layer_its_weights(tmp_path, name, monkeypatch):
    family, modules, spec = SMALL[name]
    monkeypatch.setitem(family.VARIANTS, name, replace(spec, published=family.VARIANTS[name].published))
    source, rng = build(name), np.random.default_rng(0)
    source.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in source.weights])
    path = save(source, tmp_path / "x.safetensors", modules=modules)
    for model in (cspkeras.from_timm(spec.timm, path), build(name, weights=path)):
        assert all(np.array_equal(one, two) for one, two in zip(model.weights, source.weights, strict=True))
    with pytest.raises(ValueError, match=r"head.fc.weight of layer 'predictions': expected shape \(4, 64\)|\(4, 128\)"):
        build(name, weights=path, classes=4)


def test_a_divided_tensor_that_does_not_fit_is_named_with_both_its_layers(tmp_path):
    def halve(tensors):
        tensors["stages.1.conv_exp.conv.weight"] = tensors["stages.1.conv_exp.conv.weight"][:16]

    path = save(build("CS3DarknetFocusS"), tmp_path / "x.safetensors", halve, cs3.MODULES)
    message = r"conv_exp.conv.weight of layer 'stage2_part2' and 'stage2_part1': expected shape \(32, 16, 1, 1\)"
    with pytest.raises(ValueError, match=message):
        build("CS3DarknetFocusS", weights=path)


def test_weights_that_were_never_published():
    never = {name for name, spec in (cs3.VARIANTS | cs3_gated.VARIANTS).items() if "." not in spec.timm}
    assert never == {"CS3DarknetS", "CS3DarknetFocusX"}
    assert never.isdisjoint(PUBLISHED)


def test_squeezed_channels_are_timms():
    squeezed = {}
    for name in ("CS3SEDarknetL", "CS3SEDarknetX", "CS3SEEdgeNetX"):
        spec = replace(cs3_gated.VARIANTS[name], blocks=ONES)
        model = cs3.build(spec, input_shape=(32, 32, 3))
        squeezed[name] = [model.get_layer(f"stage{i}_block1_se_squeeze").filters for i in range(1, 5)]
    assert squeezed == {
        "CS3SEDarknetL": [16, 32, 64, 128],
        "CS3SEDarknetX": [8, 8, 24, 40],
        "CS3SEEdgeNetX": [32, 64, 120, 240],
    }


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [
        ("CS3DarknetFocusS", [0.5] * 3, [0.5] * 3),
        ("CS3DarknetM", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("CSPNeXtTiny", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("CSPPeleeNet", [0.0] * 3, [1.0] * 3),
    ],
)
def test_images_are_prepared_as_the_networks_weights_need(name, mean, deviation):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3), "uint8")
    expected = (pixels / 255 - mean) / deviation
    np.testing.assert_allclose(cspkeras.preprocess_input(pixels, name=name), expected, atol=1e-6)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.ZeroPadding2D(1)], name=name.lower())
    np.testing.assert_allclose(pixels_of(model).of(pixels), expected, atol=1e-5)
    assert (pixels_of(model) == UNIT) == (name == "CSPPeleeNet")


@pytest.mark.integration
def test_a_network_of_another_name_keeps_how_its_images_are_prepared(tmp_path):
    family, _, spec = SMALL["CS3DarknetFocusS"]
    preparation = family.VARIANTS["CS3DarknetFocusS"].preparation
    model = family.build(replace(spec, preparation=preparation), input_shape=(32, 32, 3), classes=3, name="mine")
    exporter(model)(tmp_path / "x.keras")
    for one in (model, load_network(tmp_path / "x.keras"), quantize_aware(model)):
        assert one.name == "mine" and one.preparation == preparation
        assert pixels_of(one) == Pixels((127.5,) * 3, (1 / 127.5,) * 3)
        assert pixels_of(one, layout="darknet") == UNIT


def test_a_networks_layout():
    assert preparation_of("Darknet53") is None and preparation_of("Darknet53", "timm").test_size == 288
    assert preparation_of("PeleeNet", "torch") == preparation_of(None, "timm") == Preparation()
    assert preparation_of("PeleeNet") is None
    message = "layout must be 'timm' or None for CS3DarknetM. Received: layout='darknet'"
    with pytest.raises(ValueError, match=message):
        cspkeras.preprocess_input(np.zeros((1, 1, 1, 3)), "darknet", "CS3DarknetM")
    with pytest.raises(ValueError, match="name must be a network's name, such as CS3Darknet"):
        cspkeras.preprocess_input(np.zeros((1, 1, 1, 3)), name="CS3DarknetN")


@pytest.mark.integration
@pytest.mark.parametrize("name", SMALL)
def test_eight_bit_answers_agree(name):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).standard_normal((8, 64, 64, 3)).clip(-2, 2).astype("float32")
    model = calibrate_norms(build(name, input_shape=(64, 64, 3), classifier_activation=None), images)
    aware = quantize_aware(model)
    calibrate(aware, [images])
    expected, found = np.asarray(model(images)), np.asarray(aware(images))
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.1 * np.ptp(expected)
