"""Backbones by name, and what goes in and comes out."""

import keras
import numpy as np
import pytest

import cspkeras
from cspkeras import backbones
from cspkeras.registry import BACKBONE, NETWORKS

VARIANTS = {name: network.spec for name, network in NETWORKS.items() if network.kind == BACKBONE}


def test_models_are_listed_by_pattern():
    assert cspkeras.list_models() == sorted(VARIANTS)
    assert cspkeras.list_models("*DenseNet201") == ["CSPDenseNet201", "DenseNet201"]
    assert cspkeras.list_models("csp*") == []


@pytest.mark.parametrize("name", VARIANTS)
def test_every_model_has_its_constructor_in_the_package(name):
    assert getattr(cspkeras, name) is getattr(backbones, name)
    assert name in cspkeras.__all__ and name in backbones.__all__


def test_a_model_by_its_name():
    model = cspkeras.get_model("CSPPeleeNet", input_shape=(32, 32, 3), classes=3, name="mine")
    expected = cspkeras.CSPPeleeNet(input_shape=(32, 32, 3), classes=3)
    assert (model.name, model.count_params()) == ("mine", expected.count_params())
    assert [layer.name for layer in model.layers] == [layer.name for layer in expected.layers]


@pytest.mark.parametrize(
    ("name", "near"), [("cspresnet50", "CSPResNet50, "), ("Darknet", "Darknet53"), ("zzz", "CSPDarknet53"), (None, "")]
)
def test_an_unknown_name_is_an_error_with_the_nearest_known_ones(name, near):
    with pytest.raises(ValueError, match=rf"such as {near}.* Received: name={name!r}$"):
        cspkeras.get_model(name)


@pytest.mark.parametrize("convert", [np.asarray, keras.ops.convert_to_tensor, np.ndarray.tolist])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pixels_become_parts_of_one(convert, dtype):
    pixels = np.array([[[[0, 51, 255]]]], dtype)
    found = cspkeras.preprocess_input(convert(pixels))
    np.testing.assert_allclose(found, pixels.astype("float32") / 255)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


@pytest.mark.parametrize("convert", [np.asarray, keras.ops.convert_to_tensor])
def test_pixels_are_normalized_for_timms_layout(convert):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), "uint8")
    found = cspkeras.preprocess_input(convert(pixels), layout="timm")
    expected = keras.applications.imagenet_utils.preprocess_input(pixels.astype("float32"), mode="torch")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


def test_pixels_for_a_layout_within_a_model():
    image = keras.Input((2, 2, 3), dtype="uint8")
    model = keras.Model(image, cspkeras.preprocess_input(image, layout="timm"))
    pixels = np.full((1, 2, 2, 3), 51, "uint8")
    np.testing.assert_allclose(model(pixels), cspkeras.preprocess_input(pixels, layout="timm"), atol=1e-6)
    with pytest.raises(ValueError, match="layout must be one of darknet, timm. Received: layout='torch'"):
        cspkeras.preprocess_input(pixels, layout="torch")


def test_predictions_are_named_whatever_their_order(monkeypatch):
    ids = [f"n{i:08}" for i in range(1000)]
    index = {str(i): [wordnet_id, f"class {i}"] for i, wordnet_id in enumerate(ids)}
    monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", index)
    predictions = np.zeros((2, 1000))
    predictions[[0, 0, 1], [7, 30, 999]] = 0.6, 0.4, 1.0
    (first, second), (third, *_) = cspkeras.decode_predictions(predictions, top=2)
    assert [first, second, third] == [
        ("n00000007", "class 7", 0.6),
        ("n00000030", "class 30", 0.4),
        ("n00000999", "class 999", 1.0),
    ]
    shuffled = np.random.default_rng(0).permutation(1000)
    again = cspkeras.decode_predictions(predictions[:, shuffled], top=2, wordnet_ids=np.array(ids)[shuffled])
    assert again[0] == [first, second] and again[1][0] == third
