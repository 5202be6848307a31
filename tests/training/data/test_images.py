"""Images: upright RGB of every kind of file, the values that Pillow gives, and a smaller image where that is enough."""

import sys

import numpy as np
import pytest
from PIL import Image

from cspkeras.tflite.device.frames import load_image
from cspkeras.training import Example
from cspkeras.training.data.images import ORIENTATION, decode

GRADIENT = Image.linear_gradient("L")
CHANNELS = (GRADIENT, GRADIENT.transpose(Image.Transpose.ROTATE_90), GRADIENT.transpose(Image.Transpose.ROTATE_180))
COLORED = Image.merge("RGB", CHANNELS).resize((160, 120))


def written(path, image, orientation=None, **options):
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    image.save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", (None, 1, 3, 6, 8))
@pytest.mark.parametrize(
    "name, mode, options",
    (
        ("a.jpg", "RGB", {}),
        ("a.jpg", "RGB", {"subsampling": 0, "progressive": True}),
        ("a.jpg", "L", {}),
        ("a.jpg", "CMYK", {}),
        ("a.png", "RGB", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "P", {}),
    ),
)
def test_the_pixels_are_the_devices(tmp_path, name, mode, options, orientation):
    path = written(tmp_path / name, COLORED.convert(mode), orientation, **options)
    expected = np.asarray(load_image(path)).astype(int)
    pixels, factor, corner, size, damage = decode(path.read_bytes())
    assert damage is None
    assert (
        factor == 1
        and corner == (0, 0)
        and size == pixels.shape[1::-1]
        and pixels.dtype == np.uint8
        and pixels.shape == expected.shape
    )
    np.testing.assert_allclose(pixels, expected, atol=3)  # two builds of one library round colours differently
    np.testing.assert_array_equal(Example(path, None, None).pixels(), pixels)


@pytest.mark.parametrize("least, factor", ((None, 1), (61, 1), (60, 2), (30, 4), (31, 2), (15, 8), (1, 8)))
@pytest.mark.parametrize("orientation", (1, 6))
def test_a_smaller_image_where_that_is_enough(tmp_path, least, factor, orientation):
    path = written(tmp_path / "a.jpg", COLORED, orientation, quality=95)
    pixels, got, *_ = decode(path.read_bytes(), least)
    whole = np.asarray(load_image(path)).astype(float)
    h, w = (side // factor for side in whole.shape[:2])
    assert got == factor and pixels.shape == (h, w, 3)
    np.testing.assert_allclose(pixels, whole.reshape(h, factor, w, factor, 3).mean(axis=(1, 3)), atol=8)


@pytest.mark.parametrize("options", ({}, {"subsampling": 0, "progressive": True}))
@pytest.mark.parametrize("mode", ("RGB", "L"))
@pytest.mark.parametrize("least", (None, 60, 30))
@pytest.mark.parametrize(
    "window", ((0, 0, 160, 120), (33.2, 50, 80, 70.9), (-9, 100, 40, 300), (159.5, 119.5, 160, 120))
)
def test_a_part(tmp_path, options, mode, least, window):
    path = written(tmp_path / "a.jpg", COLORED.convert(mode), **options)
    whole, part = (decode(path.read_bytes(), least, w) for w in (None, lambda size: window))
    assert part.size == whole.size == (160, 120) and part.factor == whole.factor
    (x, y), (h, w) = (corner // part.factor for corner in part.corner), part.array.shape[:2]
    np.testing.assert_allclose(part.array.astype(int), whole.array[y : y + h, x : x + w], atol=6)
    assert x <= max(0, window[0] / part.factor) and y <= max(0, window[1] / part.factor)
    assert (x + w) * part.factor >= min(160, window[2]) and (y + h) * part.factor >= min(120, window[3])


def test_what_is_broken_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(256, size=(120, 160), dtype="uint8")
    path = written(tmp_path / "a.jpg", Image.fromarray(noise))
    whole = path.read_bytes()
    for data in (b"", b"no image", whole[:200], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(data)
        with pytest.raises((OSError, ValueError)):
            decode(path.read_bytes())
        with pytest.raises((OSError, ValueError)):
            decode(path.read_bytes(), window=lambda size: (0, 0, 20, 20))
    path.write_bytes(whole + b"what some cameras append")
    assert decode(path.read_bytes()).array.shape == (120, 160, 3)


GREY = np.full((2, 3), 100, "uint8")
IMAGES = {
    "grey": (Image.fromarray(GREY), 100),
    "16 bits": (Image.fromarray(np.full((2, 3), 100 * 257, "uint16")), 100),
    "palette": (Image.fromarray(np.dstack([GREY] * 3)).convert("P", palette=Image.Palette.ADAPTIVE), 100),
    "transparent": (Image.fromarray(np.dstack([GREY] * 3 + [GREY * 0])), 255),  # on white
    "grey, half transparent": (Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY + 28)]), 177),
    "black and white": (Image.fromarray(GREY > 0), 255),
}


@pytest.mark.parametrize("case", IMAGES)
def test_every_kind_of_image_becomes_rgb(tmp_path, case):
    image, value = IMAGES[case]
    image.save(tmp_path / "a.png")
    pixels = Example(tmp_path / "a.png", None, None).pixels()
    assert pixels.shape == (2, 3, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, value, atol=1)


def test_cmyk(tmp_path):
    Image.new("CMYK", (3, 2), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    pixels = Example(tmp_path / "a.jpg", None, None).pixels()
    np.testing.assert_allclose(pixels, np.full((2, 3, 3), (255, 0, 0)), atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_upright(tmp_path, orientation):
    tag = Image.Exif()
    tag[ORIENTATION] = orientation
    corner = np.zeros((20, 30, 3), "uint8")
    corner[:10, :10] = 255  # where the eight ways of standing put it: EXIF's table of row 0 and column 0
    Image.fromarray(corner).save(tmp_path / "a.png", exif=tag)
    example = Example(tmp_path / "a.png", None, None)
    pixels = example.pixels()
    assert example.size == pixels.shape[1::-1] == ((30, 20) if orientation < 5 else (20, 30))
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    assert pixels[-5 if bottom else 5, -5 if right else 5, 0] == 255
    assert (pixels == 255).all(-1).sum() == 100


@pytest.mark.parametrize("keep, reason", ((None, "No such file"), (0, "cannot identify"), (0.6, "truncated")))
def test_pixels_of_a_broken_image(tmp_path, keep, reason):
    path = tmp_path / "a.jpg"
    if keep is not None:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")).save(path)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(OSError, match=reason) as caught:
        Example(path, None, None).pixels()
    assert str(caught.value).startswith(f"{path}: not a readable image (")


@pytest.mark.parametrize(
    "error", (MemoryError(), Image.DecompressionBombError("too large"), ValueError("of several\nlines"))
)
def test_whatever_a_decoder_raises_names_the_file(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    path = tmp_path / "a.png"
    Image.new("RGB", (3, 2)).save(path)
    monkeypatch.setattr("cspkeras.training.data.images.load_image", fail)
    said = {MemoryError: "MemoryError", ValueError: "of several lines"}.get(type(error), "too large")
    with pytest.raises(OSError) as caught:
        Example(path, None, None).pixels()
    assert str(caught.value) == f"{path}: not a readable image ({said})"


def test_a_missing_package_is_not_a_broken_image(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(ImportError, match="simplejpeg"):
        Example(written(tmp_path / "a.jpg", COLORED), None, None).pixels()


def test_an_array_is_an_image_too():
    image = np.zeros((4, 6, 3), "uint8")
    example = Example(image, None, None)
    assert example.size == (6, 4) and example.pixels() is image
