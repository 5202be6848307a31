"""Darknet's transforms: its geometry, and its colours around the grey axis."""

import colorsys

import numpy as np
import pytest

from cspkeras.training.pipeline.darknet_transforms import Distortion, RescaledCrop

COLORS = [[200, 40, 30], [30, 180, 60], [40, 60, 210], [220, 210, 40]]


def darknet_pixel(x, y, size, image, shorter, turn, aspect, dx, dy):
    """Where Darknet's `rotate_crop_image` looks, in the image, for a pixel of the window; transcribed."""
    (h, w), (height, width) = image, size
    s = shorter / min(h, w * aspect)
    across, down = (x - width / 2) / s * aspect + dx / s * aspect, (y - height / 2) / s + dy / s
    return np.cos(turn) * across - np.sin(turn) * down + w / 2, np.sin(turn) * across + np.cos(turn) * down + h / 2


class Given:
    """In place of a random generator: gives the numbers that it is made with."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self, low, high):
        value = self.numbers.pop(0)
        assert min(low, high) - 1e-9 <= value <= max(low, high) + 1e-9
        return value

    def random(self):
        return self.numbers.pop(0)


@pytest.mark.parametrize(
    "shorter, turn, aspect, dx, dy", ((40, 0, 1, 0, 0), (90, 7, 0.8, 20, -9), (20, -5, 0.75, 0, 0))
)
def test_the_crop_looks_where_darknets_does(shorter, turn, aspect, dx, dy):
    size, image = (32, 48), (60, 80)
    crop = RescaledCrop(size, 7, 0.75)
    crop.py_random = Given(aspect, 0.0, turn, dx, dy)
    matrix = crop.get_params_dependent_on_data({"shape": (*image, 3)}, {"shorter": shorter})["matrix"]
    for x, y in ((0, 0), (48, 0), (11, 30)):  # corners of pixels, which lie half a pixel before their middles
        expected = darknet_pixel(x, y, size, image, shorter, np.deg2rad(turn), aspect, dx, dy)
        np.testing.assert_allclose(matrix @ [x - 0.5, y - 0.5, 1] + 0.5, expected)


@pytest.mark.parametrize("shorter", (16, 40, 100))
def test_the_crop_shows_what_lies_there(shorter):
    rows, columns = np.mgrid[:240, :320]
    image = np.stack([columns * 0.8, rows, np.zeros((240, 320))], axis=-1).astype("uint8")
    crop = RescaledCrop((64, 64), 0, 1)
    crop.py_random = Given(1, 0.0, 0, 0, 0)
    shown = crop(image=image, shorter=shorter)["image"].astype(float)
    inside = shown.sum(axis=-1) > 0
    wide = min(64, shorter * 320 / 240)
    assert inside.sum() == pytest.approx(wide * min(64, shorter), rel=0.1)
    y, x = np.nonzero(inside[8:-8, 8:-8])
    y, x = y[:: len(y) // 20 or 1] + 8, x[:: len(x) // 20 or 1] + 8
    scale = 240 / shorter
    near = (abs(x - 31.5) < wide / 2 - 1) & (abs(y - 31.5) < shorter / 2 - 1)  # bilinear with black at the edge
    expected = np.stack([((x - 31.5) * scale + 159.5) * 0.8, (y - 31.5) * scale + 119.5], axis=-1)
    np.testing.assert_allclose(shown[y, x][near, :2], expected[near], atol=2)


@pytest.mark.parametrize(
    "given, expected",  # of (150, 100, 80), whose mean is 110
    (
        ((0, 1.0, 0.0, 1.0, 0.0), (150, 100, 80)),
        ((0, 0.5, 0.0, 1.0, 0.0), (130, 105, 95)),
        ((0, 0.5, 0.9, 1.0, 0.0), (190, 90, 50)),
        ((0, 1.0, 0.0, 0.75, 0.9), (200, 133, 107)),
        ((1 / 3, 1.0, 0.0, 1.0, 0.0), (80, 150, 100)),  # red to green
    ),
)
def test_colours_change_by_hue_saturation_and_exposure(given, expected):
    distortion = Distortion(1 / 3, 0.5, 0.75)
    distortion.py_random = Given(*given)
    image = np.full((2, 2, 3), (150, 100, 80), "uint8")
    np.testing.assert_allclose(distortion(image=image)["image"], np.broadcast_to(expected, (2, 2, 3)), atol=1)


@pytest.mark.parametrize("turn", (-0.1, -0.05, 0.05, 0.1))
@pytest.mark.parametrize("color", COLORS)
def test_hue_turns_about_as_in_hsv(turn, color):
    distortion = Distortion(0.1, 1, 1)
    distortion.py_random = Given(turn, 1, 0, 1, 0)
    image = np.full((1, 1, 3), np.array(color) // 2 + 60, "uint8")
    (before, *_), (after, *_) = (
        colorsys.rgb_to_hsv(*(one[0, 0] / 255)) for one in (image, distortion(image=image)["image"])
    )
    assert (after - before + 0.5) % 1 - 0.5 == pytest.approx(turn, abs=0.025)
