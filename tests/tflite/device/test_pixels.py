"""What the device makes of an image for inputs of every type and layout."""

import numpy as np
import pytest
from PIL import Image
from tiny_files import quantized

from cspkeras.tflite.device.network import Network

KINDS = {
    "float32": (np.float32, 0.0, 0),
    "float16": (np.float16, 0.0, 0),
    "int8": (np.int8, 0.021, -3),
    "int8 of pixels": (np.int8, 1 / 255, -128),
    "uint8": (np.uint8, 0.017, 120),
    "uint8 of pixels": (np.uint8, 1 / 255, 0),
    "uint8 without a scale": (np.uint8, 0.0, 0),
    "int16": (np.int16, 3 / 32767, 0),
}
RANGES = {"0..1": (0.0, 1 / 255), "-1..1": (127.5, 1 / 127.5), "each": ([120, 110, 100], [0.01, 0.02, 0.03])}
IMAGE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)


def network(kind, shape, mean, scale, colors="RGB"):
    made = Network.__new__(Network)
    made.settings = {"input": dict(mean=mean, scale=scale, resize="stretch", fill=0, colors=colors)}
    made._input = dict(index=0, dtype=kind[0], shape=np.array(shape), quantization=kind[1:])
    made._size = (8, 12)
    return made


@pytest.mark.parametrize("colors", ["RGB", "BGR"])
@pytest.mark.parametrize("shape", [(1, 8, 12, 3), (3, 8, 12, 3), (1, 3, 8, 12)], ids=str)
@pytest.mark.parametrize("limits", RANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_becomes_the_inputs_numbers(kind, limits, shape, colors):
    kind, (mean, scale) = KINDS[kind], RANGES[limits]
    found = network(kind, shape, mean, scale, colors).prepare(IMAGE)[0]
    numbers = (IMAGE.astype(float) - mean) * scale
    if not kind[1] and kind[0] == np.uint8:
        kind = (np.uint8, 1.0, 0)
    expected = quantized(numbers, kind).astype(float)[..., :: -1 if colors == "BGR" else 1]
    expected = np.broadcast_to(expected.transpose(2, 0, 1) if shape[1] == 3 else expected, shape)
    assert found.dtype == kind[0] and found.shape == shape and found.flags.c_contiguous
    step = 1 if kind[1] else 2e-3  # halves are rounded either way
    np.testing.assert_allclose(found.astype(float), expected, atol=step)
    assert np.mean(found.astype(float) != expected) < 0.02 or not kind[1]


@pytest.mark.parametrize("shape", [(1, 8, 12, 1), (1, 1, 8, 12)], ids=str)
def test_a_grey_input_gets_the_images_grey(shape):
    found = network(KINDS["float32"], shape, 0.0, 1.0, "gray").prepare(IMAGE)[0]
    np.testing.assert_array_equal(found.reshape(8, 12), np.asarray(Image.fromarray(IMAGE).convert("L")))
