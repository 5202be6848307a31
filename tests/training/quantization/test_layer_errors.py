"""The report of what each layer loses in 8 bits."""

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.training.quantization.aware import calibrate, quantize_aware
from cspkeras.training.quantization.layer_errors import layer_errors

IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 16, 16, 3)).astype("float32")


@pytest.fixture(scope="module")
def pair():
    keras.utils.set_random_seed(0)
    image = layers.Input((16, 16, 3))
    x = image
    for i in range(3):
        x = layers.Conv2D(8, 3, padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"norm{i}")(x)
        x = layers.Activation("swish", name=f"act{i}")(x)
    model = keras.Model(image, layers.Dense(5, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x)))
    return model, calibrate(quantize_aware(model), [IMAGES])


@pytest.mark.integration
def test_a_range_that_is_far_too_wide_comes_first(pair):
    model, quantized = pair
    low, high = quantized.get_layer("norm1_range").ends
    before = float(low), float(high)
    for end in (low, high):
        end.assign(end * 60)
    rows = layer_errors(quantized, model, [IMAGES[:2], IMAGES[2:]])
    for end, value in zip((low, high), before, strict=True):
        end.assign(value)
    assert rows[0]["layer"] == "norm1" and rows[0]["added"] > 10 * rows[1]["added"]
    by_name = {row["layer"]: row for row in rows}
    assert by_name["act1"]["arriving"] > 10 * by_name["act0"]["arriving"], "only later layers suffer"
    assert by_name["act1"]["added"] < 0.05


@pytest.mark.integration
def test_calibrated_layers_lose_little_and_all_are_listed(pair):
    model, quantized = pair
    rows = layer_errors(quantized, model, [IMAGES])
    assert {row["layer"] for row in rows} >= {"norm0", "act0", "norm2", "act2", "pool", "logits"}
    assert all(row["added"] < 0.02 and row["arriving"] < 0.1 for row in rows)


def test_no_pictures_are_an_error(pair):
    with pytest.raises(ValueError, match="received none"):
        layer_errors(*pair[::-1], [])
