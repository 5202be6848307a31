"""What goes into a backbone and what comes out: pixels, and the classes of ImageNet."""

import keras
import numpy as np
import pytest

import cspkeras


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
    with pytest.raises(ValueError, match="layout must be one of darknet, timm, torch. Received: layout='onnx'"):
        cspkeras.preprocess_input(pixels, layout="onnx")


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
