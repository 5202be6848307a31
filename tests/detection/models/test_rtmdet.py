"""RTMDet as a detector: its file, its levels' shared convolutions, its 8 bits."""

import keras
import numpy as np
import pytest
from small_networks import small_rtmdet
from untrained import calibrate_norms

import cspkeras
from cspkeras.detection import Detector
from cspkeras.tflite import check, convert
from cspkeras.training.quantization.aware import calibrate, quantize_aware
from cspkeras.training.quantization.equalization import Gated, equalized
from cspkeras.training.quantization.flattening import flattened

IMAGES = np.random.default_rng(0).random((4, 64, 64, 3), "float32")


@pytest.fixture(scope="module")
def model():
    """A small RTMDet with a channel of the stem and one of the head's that reach further and count no more."""
    keras.utils.set_random_seed(0)
    model = calibrate_norms(small_rtmdet(), IMAGES)
    for norm, after in (("stem_conv1_bn", "stem_conv2"), ("head_p4_classes_conv1_bn", "head_classes_conv2")):
        scale, next_kernel = model.get_layer(norm).gamma, model.get_layer(after).kernel
        reach = np.float32([300] + [1] * (scale.shape[0] - 1))
        scale.assign(scale * reach)
        next_kernel.assign(next_kernel / reach[:, np.newaxis])
    return model


def answers(model):
    return np.concatenate([np.reshape(head, (-1, head.shape[-1])) for head in model(IMAGES, training=False)])


@pytest.mark.integration
def test_its_file_keeps_everything(model, tmp_path):
    model.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    assert type(loaded) is Detector and loaded.anchors == model.anchors and loaded.anchors.coding == "distances"
    assert len(loaded.trainable_weights) == len(model.trainable_weights), "shared convolutions stay shared"
    np.testing.assert_array_equal(answers(loaded), answers(model))


@pytest.mark.integration
def test_unequal_channels_are_split_also_where_levels_share_a_convolution(model):
    made = equalized(flattened(model), [IMAGES])
    split = {layer.name for layer in made.layers if isinstance(layer, Gated)}
    assert {"stem_conv1_act_value", "head_p4_classes_conv1_act_value"} <= split
    assert "head_p3_classes_conv1_act_value" not in split
    np.testing.assert_allclose(answers(made), answers(model), atol=1e-3 * np.abs(answers(model)).max())


@pytest.mark.integration
def test_eight_bits_keep_its_answers(model):
    expected = answers(model)
    errors = []
    for images in ([IMAGES], None):
        found = answers(calibrate(quantize_aware(model, images), [IMAGES]))
        errors.append(np.sqrt(np.square(found - expected).mean() / expected.var()))
    equal, unequal = errors
    assert equal < min(0.15, 0.5 * unequal)


@pytest.mark.slow
def test_the_smallest_is_on_the_gpu_whole_and_small_in_8_bits(tmp_path):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((2, 320, 320, 3), "float32")
    model = calibrate_norms(cspkeras.RTMDetTiny(input_shape=(320, 320, 3)), images)
    for precision in ("float16", "int8"):
        path = convert(model, tmp_path / f"{precision}.tflite", precision, images[:, None])
        checked = check(path, images=images[:1], runs=1)
        assert checked.gpu_delegated in (True, None), checked.table()  # None: there is no GPU
    floats = convert(model, tmp_path / "float32.tflite")
    assert checked.size_bytes <= 0.27 * floats.stat().st_size
