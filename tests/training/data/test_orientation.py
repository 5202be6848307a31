"""Image files of every odd kind: the size, which annotations are compared with, is that of the pixels; both upright."""

import numpy as np
import pytest
from odd_images import ODD_TAGS, OTHERS, with_tag, with_xmp
from small_data import BOX, SIZE, scene, turned

from cspkeras.tflite.device.frames import SUFFIXES, load_image
from cspkeras.training import Example
from cspkeras.training.data.images import UNREADABLE, StoredImage, read_pixels, upright_size

HOLD_EXIF = (".avif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
NO_EXIF = tuple(suffix for suffix in SUFFIXES if suffix not in HOLD_EXIF)
TURNED = {f"{n}{suffix}": n for suffix in HOLD_EXIF for n in range(1, 9)}
IN_XMP = {f"xmp {n}{suffix}": n for suffix in (".avif", ".jpg", ".png", ".tif", ".webp") for n in (1, 6)}
MEANINGLESS = {
    f"{kind}{suffix}": tag
    for suffix in (".jpg", ".png", ".tif", ".webp")
    for kind, tag in ODD_TAGS.items()
    if suffix != ".tif" or kind not in ("float", "fraction")  # Pillow takes these of a TIFF for numbers
}


def agreed(path):
    """The pixels of an image file, which everything agrees about."""
    content = path.read_bytes()
    larger = path.with_name("larger.records")
    larger.write_bytes(b"before" + content + b"after")
    stored = StoredImage(larger, len(b"before"), len(content), path.name)
    expected = np.asarray(load_image(path))
    for image in (path, stored):
        pixels = read_pixels(image)
        assert upright_size(image) == Example(image, None, None).size == pixels.size
        assert pixels.size == pixels.array.shape[1::-1] == expected.shape[1::-1]
        assert pixels.array.dtype == np.uint8 and pixels.array.flags["C_CONTIGUOUS"]
        np.testing.assert_allclose(pixels.array.astype(int), expected, atol=4)
    return pixels.array


def upright(pixels):
    """Whether `scene`'s object is in its place."""
    red = np.argwhere(pixels[..., 0] > pixels[..., 1].astype(int) + 60)
    return (
        pixels.shape == (*SIZE[::-1], 3) and abs(np.array([*red.min(0)[::-1], *(red.max(0)[::-1] + 1)]) - BOX).max() < 3
    )


@pytest.mark.parametrize("name", TURNED)
def test_what_exif_says(tmp_path, name):
    turned(tmp_path / name, TURNED[name])
    assert upright(agreed(tmp_path / name))


@pytest.mark.parametrize("name", IN_XMP)
def test_what_xmp_alone_says(tmp_path, name):
    with_xmp(IN_XMP[name])(tmp_path / name)
    assert upright(agreed(tmp_path / name)) == (IN_XMP[name] == 6)


@pytest.mark.parametrize("name", MEANINGLESS)
def test_what_is_no_orientation_means_nothing(tmp_path, name):
    with_tag(*MEANINGLESS[name])(tmp_path / name)
    assert agreed(tmp_path / name).shape == (*SIZE, 3)  # as it is stored, on its side


@pytest.mark.parametrize("name", OTHERS)
def test_size_and_pixels_agree_or_an_error_names_the_file(tmp_path, name):
    path = tmp_path / name
    OTHERS[name](path)
    try:
        read_pixels(path)
    except OSError as e:
        assert name.startswith(("cut", "empty", "text")), e
        assert str(e).startswith(f"{path}: not a readable image (") and " at 0x" not in str(e)
        assert str(e).count(str(path)) == 1
    else:
        agreed(path)


@pytest.mark.parametrize("suffix", NO_EXIF)
def test_every_suffix_that_is_looked_for_can_be_read(tmp_path, suffix):
    scene().convert("1" if suffix == ".pbm" else "L" if suffix == ".pgm" else "RGB").save(tmp_path / f"a{suffix}")
    assert agreed(tmp_path / f"a{suffix}").shape == (*SIZE[::-1], 3)


def test_what_is_called_unreadable_is_not_looked_for():
    assert not set(SUFFIXES) & set(UNREADABLE) and ".heic" in UNREADABLE
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in (*SUFFIXES, *UNREADABLE))
