"""The images that the device's scripts read, draw on and write."""

import errno

import numpy as np
import pytest
from cell_detector import LABELS, RED
from PIL import Image

from cspkeras.tflite.device import drawing, frames


def transparent(mode):
    image = Image.new("RGBA", (9, 6), (10, 20, 30, 255))
    image.putpixel((0, 0), (10, 20, 30, 0))
    return image.convert(mode) if mode != "P" else image.quantize()


def upside_down():
    image = Image.new("RGB", (9, 6), (10, 20, 30))
    image.putpixel((8, 5), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    return image, exif


@pytest.mark.parametrize(
    "name, image, corner, rest",
    [
        ("grey.png", Image.new("L", (9, 6), 77), (77,) * 3, (77,) * 3),
        ("black_and_white.png", Image.new("1", (9, 6), 1), (255,) * 3, (255,) * 3),
        ("rgba.png", transparent("RGBA"), (255,) * 3, (10, 20, 30)),
        ("grey_alpha.png", transparent("LA"), (255,) * 3, (18,) * 3),
        ("palette.png", transparent("P"), (255,) * 3, (10, 20, 30)),
        ("cmyk.jpg", Image.new("CMYK", (9, 6), (0, 255, 255, 0)), RED, RED),
        ("16_bit.png", Image.fromarray(np.full((6, 9), 257 * 90, np.uint16)), (90,) * 3, (90,) * 3),
        ("float.tif", Image.fromarray(np.full((6, 9), 0.2, np.float32)), (51,) * 3, (51,) * 3),
        ("turned.png", upside_down(), (255,) * 3, (10, 20, 30)),
    ],
)
def test_images_of_every_kind_become_upright_rgb(tmp_path, name, image, corner, rest):
    image, exif = image if isinstance(image, tuple) else (image, None)
    image.save(tmp_path / name, **({"exif": exif} if exif else {}))
    loaded = frames.load_image(tmp_path / name)
    assert (loaded.mode, loaded.size) == ("RGB", (9, 6))
    np.testing.assert_allclose(loaded.getpixel((0, 0)), corner, atol=2)
    np.testing.assert_allclose(loaded.getpixel((5, 3)), rest, atol=2)


@pytest.mark.parametrize("mode", ("L", "P", "RGB", "CMYK", "I;16"))
def test_a_tiff_that_pillow_would_map_to_memory_stands_upright(tmp_path, mode):
    values = np.arange(54, dtype="uint16").reshape(6, 9) * 1000
    image = Image.fromarray(values if mode == "I;16" else (values // 257).astype("uint8"))
    image = image if mode == "I;16" else image.convert(mode)
    upright = frames.load_image(written(tmp_path / "plain.tif", image))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = frames.load_image(written(tmp_path / "turned.tif", image.transpose(Image.Transpose.ROTATE_90), exif=exif))
    np.testing.assert_array_equal(np.asarray(turned), np.asarray(upright))


def written(path, image, **options):
    image.save(path, **options)
    return path


def test_why_an_image_cannot_be_read_is_one_line_without_its_path(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_text("no image")
    (_, _, error), *_ = frames.frames([str(tmp_path / "a.jpg")])
    assert str(error) == "cannot identify it: unknown or damaged format"
    (_, _, error), *_ = frames.frames([str(tmp_path / "b.jpg")])
    assert isinstance(error, FileNotFoundError) and error.strerror == "No such file or directory"
    assert frames.reason(MemoryError()) == "MemoryError"
    assert frames.reason(ValueError("bad\n<_io.BytesIO object at 0x7f12ab> end")) == "bad the file end"
    Image.new("L", (60, 40)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    (_, _, error), *_ = frames.frames([str(tmp_path / "large.png")])
    assert str(error).startswith("Image size (2400 pixels) exceeds limit of 2000 pixels")


def test_classes_have_colours_of_their_own():
    colors = np.array([drawing.class_color(label) for label in range(80)], int)
    distances = np.abs(colors[:, None] - colors).sum(axis=-1) + 1000 * np.eye(80, dtype=int)
    assert distances.min() >= 5
    assert min(distances[i, i + 1] for i in range(79)) > 150  # neighbours


@pytest.mark.parametrize("size", [(120, 90), (640, 480), (4000, 1000)])
@pytest.mark.parametrize("part", [(0, 0, 1, 1), (0.5, 0.5, 0.9, 0.9), (0.9, 0, 1, 0.1)])
def test_drawing_suits_the_size_of_the_image(size, part):
    drawn = Image.new("RGB", size, (90, 90, 90))
    box = np.float32(part) * (size * 2)
    found = {"boxes": box[None], "labels": np.array([1]), "scores": np.float32([0.5])}
    drawing.draw_detections(drawn, found, LABELS)
    color = drawing.class_color(1)
    assert drawn.getpixel(tuple(int(side) - 1 for side in box[2:].round())) == color  # the last pixel within
    text = np.argwhere((np.asarray(drawn) > 225).all(axis=-1))  # white on this class's blue
    assert np.ptp(text[:, 0]) >= 0.5 * max(10, sum(size) / 80)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "list.json"
    with frames.written_aside(path) as aside:
        aside.write_text("first")
    with pytest.raises(OSError), frames.written_aside(path) as aside:
        aside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [file.name for file in path.parent.iterdir()] == ["list.json"]
    assert path.read_text() == "first"
