"""Images of other kinds than uint8 RGB, against the device's script, which reads the same ones from files."""

import numpy as np
import pytest
from PIL import Image

from cspkeras.detection.images import to_rgb
from cspkeras.tflite.device.frames import load_image

RNG = np.random.default_rng(0)
FILES = {  # by a mode of Pillow: the file's suffix and an array
    "L": (".png", RNG.integers(256, size=(5, 7), dtype="uint8")),
    "LA": (".png", RNG.integers(256, size=(5, 7, 2), dtype="uint8")),
    "RGB": (".png", RNG.integers(256, size=(5, 7, 3), dtype="uint8")),
    "RGBA": (".png", RNG.integers(256, size=(5, 7, 4), dtype="uint8")),
    "I;16": (".png", RNG.integers(65536, size=(5, 7), dtype="uint16")),
    "F": (".tif", RNG.random((5, 7), "float32")),
    "1": (".png", RNG.random((5, 7)) > 0.5),
}


@pytest.mark.parametrize("mode", FILES)
def test_an_array_becomes_what_the_devices_script_makes_of_its_file(mode, tmp_path):
    suffix, array = FILES[mode]
    Image.fromarray(array).save(tmp_path / f"image{suffix}")
    with Image.open(tmp_path / f"image{suffix}") as file:
        assert file.mode == mode
        assert np.asarray(file).dtype == array.dtype
    found = to_rgb(array)
    assert found.dtype == np.uint8 and found.shape == (5, 7, 3)
    np.testing.assert_array_equal(found, np.asarray(load_image(tmp_path / f"image{suffix}")))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["uint16", "float32", "float64"])
def test_the_type_makes_no_difference(kind, channels):
    image = RNG.integers(256, size=(6, 4, channels), dtype="uint8")
    other = (image.astype("uint16") * 257) if kind == "uint16" else (image / 255).astype(kind)
    np.testing.assert_array_equal(to_rgb(other), to_rgb(image))


def test_a_grey_image_may_have_an_axis_of_channels():
    image = FILES["L"][1]
    np.testing.assert_array_equal(to_rgb(image[..., None]), to_rgb(image))
    np.testing.assert_array_equal(to_rgb(image), np.stack([image] * 3, axis=-1))


def test_transparent_parts_are_white():
    image = np.uint8([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 51]]])
    assert to_rgb(image).tolist() == [[[255, 0, 0], [255, 255, 255], [255, 204, 204]]]


SHAPE = "images must be arrays (h, w), (h, w, 3) or (h, w, 4). Received: "


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((8, 8, 5), "uint8"), f"{SHAPE}uint8 of shape (8, 8, 5)"),
        (np.zeros((1, 8, 8, 3), "uint8"), f"{SHAPE}uint8 of shape (1, 8, 8, 3)"),
        (np.zeros((0, 8, 3), "uint8"), f"{SHAPE}uint8 of shape (0, 8, 3)"),
        (np.zeros(8, "uint8"), f"{SHAPE}uint8 of shape (8,)"),
        ([[0, 0, 0]], f"{SHAPE}list of shape None"),
        (np.full((8, 8, 3), 128.0), "images of floats must be in 0..1. Received: values from 128 to 128"),
        (np.full((8, 8), -0.5), "images of floats must be in 0..1. Received: values from -0.5 to -0.5"),
        (np.full((8, 8, 3), np.nan), "images of floats must be in 0..1. Received: values from nan to nan"),
        (np.zeros((8, 8, 3), "int64"), "images must be uint8, uint16 or floats in 0..1. Received: int64"),
    ],
)
def test_other_images_are_an_error(image, message):
    with pytest.raises(ValueError) as caught:
        to_rgb(image)
    assert str(caught.value) == message
