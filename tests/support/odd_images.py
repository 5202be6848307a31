"""Image files of odd kinds and what writes them: turned by EXIF or XMP, of many depths, cut off, of several frames."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, TiffImagePlugin
from small_data import SIZE, TURNS, damaged_middle, scene, turned, xmp

from cspkeras.training.data.images import ORIENTATION

# Kinds of a tag, by number: 2 text, 3 and 4 whole numbers, 5 a fraction, 11 a float. (kind, count, its 4 bytes)
ODD_TAGS = {
    "0": (3, 1, struct.pack("<I", 0)),
    "9": (3, 1, struct.pack("<I", 9)),
    "65535": (3, 1, struct.pack("<I", 65535)),
    "millions": (4, 1, struct.pack("<I", 6_000_006)),
    "byte": (1, 1, struct.pack("<I", 6)),
    "text": (2, 2, b"6\0\0\0"),
    "float": (11, 1, struct.pack("<f", 6)),
    "fraction": (5, 1, struct.pack("<I", 26)),  # where it stands
}
SAVE = {"quality": 95}


def sideways(mode="RGB"):
    """`scene`, as a file with orientation 6 stores it."""
    return scene().transpose(TURNS[6]).convert(mode)


def with_exif(orientation, mode="RGB", **options):
    """A writer of `sideways` with an orientation."""
    return lambda path: sideways(mode).save(path, exif=with_number(orientation), **options)


def with_xmp(value):
    """A writer of `sideways` with an orientation in XMP alone."""

    def write(path):
        if path.suffix == ".png":
            path.write_bytes(png_chunks(sideways(), before=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(value))]))
        elif path.suffix == ".tif":
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            tags[700], tags.tagtype[700] = xmp(value), 1
            sideways().save(path, tiffinfo=tags)
        else:
            sideways().save(path, xmp=xmp(value), **SAVE)

    return write


def png_chunks(image, before=(), after=()):
    """A PNG's bytes with further (type, content) chunks before and after its pixels."""
    file = io.BytesIO()
    image.save(file, "PNG")
    whole = file.getvalue()
    head, pixels, end = whole[:33], whole[33:-12], whole[-12:]

    def chunks(parts):
        return b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)

    return head + chunks(before) + pixels + chunks(after) + end


def exif_bytes(kind, count, value):
    """EXIF data that hold an orientation of some kind alone."""
    tag = struct.pack("<HHI4s", ORIENTATION, kind, count, value)
    return b"II*\0" + struct.pack("<IH", 8, 1) + tag + bytes(4) + struct.pack("<II", 6, 1)


def with_tag(kind, count, value):
    """A writer of `sideways` with an orientation of some kind, written as it is."""
    data = exif_bytes(kind, count, value)

    def write(path):
        if path.suffix == ".tif":
            sideways().save(path, exif=with_number(9))
            number = struct.pack("<HHII", ORIENTATION, 3, 1, 9)
            path.write_bytes(path.read_bytes().replace(number, struct.pack("<HHI4s", ORIENTATION, kind, count, value)))
        elif path.suffix == ".png":
            path.write_bytes(png_chunks(sideways(), [(b"eXIf", data)]))
        else:
            sideways().save(path, exif=b"Exif\0\0" + data, **SAVE)

    return write


def with_number(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


NUMBER_3, NUMBER_6 = (exif_bytes(3, 1, struct.pack("<I", number)) for number in (3, 6))


def late_png(path):
    path.write_bytes(png_chunks(sideways(), after=[(b"eXIf", NUMBER_6)]))


def late_xmp_png(path):
    """Whose EXIF data, before the pixels, say nothing of the orientation that XMP, after them, gives."""
    exif = Image.Exif()
    exif[0x010F] = "camera"
    early = [(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))]
    late = [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))]
    path.write_bytes(png_chunks(sideways(), early, late))


def two_orientations_png(path):
    path.write_bytes(png_chunks(sideways(), [(b"eXIf", NUMBER_3)], [(b"eXIf", NUMBER_6)]))


def tiled_tiff(path):
    """One tile of 64x64 pixels, larger than the image."""
    image = sideways("L")
    tile = Image.new("L", (64, 64))
    tile.paste(image)
    start = 8 + 2 + 12 * 11 + 4
    tags = ((256, image.width), (257, image.height), (258, 8), (259, 1), (262, 1), (ORIENTATION, 6), (277, 1))
    tags += ((322, 64), (323, 64), (324, start), (325, 64 * 64))
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4) + tile.tobytes())


def thumbnail_jpeg(path):
    """Whose EXIF data hold a smaller image, of another orientation."""
    small = io.BytesIO()
    scene().resize((15, 10)).save(small, "JPEG")
    exif = with_number(6)
    exif._ifds[1] = {0x0103: 6, ORIENTATION: 1, 0x0201: 0, 0x0202: len(small.getvalue())}
    sideways().save(path, exif=exif.tobytes() + small.getvalue(), **SAVE)


def pages(path, **options):
    others = [Image.new("RGB", (9, 7)), scene()]
    sideways().save(path, save_all=True, append_images=others, exif=with_number(6), **options)


def frames(path, **options):
    scene().save(path, save_all=True, append_images=[Image.new("RGB", SIZE)], **options)


def deep(path):
    values = np.asarray(sideways("L")).astype("uint16") * 257
    Image.fromarray(values).save(path, exif=with_number(6))


def cut(path):
    turned(path, 6)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def patched(old, new):
    """A writer of a turned JPEG, some of whose bytes are changed."""

    def write(path):
        turned(path, 6)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return write


def fatal(path):
    """A progressive JPEG that libjpeg first warns of, and then gives up."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), "uint8")
    Image.fromarray(noise).save(path, progressive=True)
    content = bytearray(path.read_bytes())
    content[-99:-95] = b"\xff\x31" * 2
    path.write_bytes(bytes(content))


def transparent_palette(path):
    sideways().quantize(8).save(path, transparency=0, exif=with_number(6))


def patched_ycck(path):
    """A CMYK JPEG whose Adobe marker says that its first three channels are a transformed colour."""
    sideways("CMYK").save(path, **SAVE)
    content = bytearray(path.read_bytes())
    content[content.index(b"Adobe\0") + 11] = 2
    path.write_bytes(bytes(content))


OTHERS = {
    "grey.jpg": with_exif(6, "L"),
    "progressive.jpg": with_exif(6, progressive=True),
    "cmyk.jpg": with_exif(6, "CMYK"),
    "ycck.jpg": patched_ycck,
    "whole colours.jpg": with_exif(6, subsampling=0),
    "rgb.jpg": with_exif(6, keep_rgb=True),
    "two values.jpg": with_tag(3, 2, struct.pack("<HH", 6, 6)),
    "two values.tif": with_tag(3, 2, struct.pack("<HH", 6, 6)),
    "thumbnail.jpg": thumbnail_jpeg,
    "damaged exif.jpg": patched(b"Exif\0\0MM\0*", b"Exif\0\0nons"),
    "damaged exif.png": lambda path: path.write_bytes(png_chunks(sideways(), [(b"eXIf", b"nonsense")])),
    "jfif revision.jpg": patched(b"JFIF\0\x01\x01", b"JFIF\0\x07\x01"),
    "between segments.jpg": patched(b"\xff\xdb", b"what is this" + b"\xff\xdb"),
    "appended.jpg": lambda path: (turned(path), path.write_bytes(path.read_bytes() + b"what cameras append")),
    "cut.jpg": cut,
    "cut and more.jpg": fatal,
    "cut.png": cut,
    "cut.tif": cut,
    "cut.webp": cut,
    "cut.avif": cut,
    "middle.jpg": damaged_middle,
    "late.png": late_png,
    "late xmp.png": late_xmp_png,
    "two.png": two_orientations_png,
    "16 bits.png": deep,
    "1 bit.png": with_exif(6, "1"),
    "grey alpha.png": with_exif(6, "LA"),
    "alpha.png": with_exif(6, "RGBA"),
    "transparent palette.png": transparent_palette,
    "animated.png": lambda path: frames(path, duration=40),
    "animated.gif": lambda path: frames(path, duration=40),
    "animated.webp": lambda path: frames(path, duration=40),
    "animated.avif": lambda path: frames(path, duration=40),
    "16 bits.tif": deep,
    "1 bit.tif": with_exif(6, "1"),
    "palette.tif": with_exif(6, "P"),
    "cmyk.tif": with_exif(6, "CMYK"),
    "lzw.tif": with_exif(6, compression="tiff_lzw"),
    "jpeg.tif": with_exif(6, compression="jpeg"),
    "group4.tif": with_exif(6, "1", compression="group4"),
    "big.tif": with_exif(6, big_tiff=True),
    "float.tif": with_exif(6, "F"),
    "float tag.tif": with_tag(*ODD_TAGS["float"]),
    "fraction tag.tif": with_tag(*ODD_TAGS["fraction"]),
    "tiled.tif": tiled_tiff,
    "pages.tif": pages,
    "pages.mpo": pages,
    "grey.bmp": lambda path: scene().convert("L").save(path),
    "palette.bmp": lambda path: scene().quantize(8).save(path),
    "16 bits.pgm": lambda path: Image.fromarray(np.full((5, 3), 900, "uint16")).save(path),
    "10 bits.pgm": lambda path: path.write_bytes(b"P5 3 2 1023\n" + np.full(6, 511, ">u2").tobytes()),
    "by hand.ppm": lambda path: path.write_text("P3\n# made by hand\n2 1\n255\n1 2 3 4 5 6\n"),
    "1 bit.pbm": lambda path: scene().convert("1").save(path),
    "grey.jp2": lambda path: scene().convert("L").save(path),
    "alpha.jp2": lambda path: scene().convert("RGBA").save(path),
    "tiles.jp2": lambda path: scene().save(path, tile_size=(32, 32), num_resolutions=2),
    "lossy.jp2": lambda path: scene().save(path, irreversible=True, quality_layers=[20]),
    "1x1.jpg": lambda path: Image.new("RGB", (1, 1)).save(path),
    "1x1.tif": lambda path: Image.new("RGB", (1, 1)).save(path),
    "1x99.jpg": lambda path: Image.new("RGB", (1, 99)).save(path),
    "empty.jpg": lambda path: path.touch(),
    "text.avif": lambda path: path.write_text("no image"),
}
