"""Made-up data sets: a Pascal VOC folder of coloured rectangles, and image files of every kind, good and bad."""

import numpy as np
from PIL import Image

from cspkeras.training.data.images import ORIENTATION

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
ANNOTATION = "<annotation><size><width>{}</width><height>{}</height></size>{}</annotation>"
COLORS = {"blue": (40, 60, 220), "green": (30, 200, 60), "red": (220, 50, 30)}  # a class and its objects' colour


def small_voc(folder, train=6, val=2, size=(64, 48)):
    """A Pascal VOC folder of made-up images, `size` (width, height), with a solid rectangle of each of `COLORS`."""
    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    width, height = size
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        names = [f"{split}{i}" for i in range(count)]
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            image, objects = np.full((height, width, 3), 128, "uint8"), ""
            for column, (label, color) in enumerate(COLORS.items()):
                x, y = column * width // 3 + rng.integers(1, width // 12), rng.integers(1, height // 3)
                w, h = rng.integers(width // 6, width // 4), rng.integers(height // 3, height // 2)
                image[y : y + h, x : x + w] = color
                objects += OBJECT.format(label, x, y, x + w, y + h)
            Image.fromarray(image).save(folder / f"JPEGImages/{name}.png")
            (folder / f"Annotations/{name}.xml").write_text(ANNOTATION.format(width, height, objects))
    return folder


SIZE, BOX = (60, 40), (6, 8, 30, 32)  # width, height; x1, y1, x2, y2 of the red object
# Pillow's operations that an image of each EXIF orientation has gone through, seen from the upright one.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene():
    """Draw an image of `SIZE` with a red object in `BOX`."""
    image = Image.new("RGB", SIZE, (90, 90, 90))
    image.paste((220, 30, 30), BOX)
    return image


def turned(path, orientation=6):
    """Write `scene` stored turned, with the EXIF orientation that turns it upright."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = scene() if orientation == 1 else scene().transpose(TURNS[orientation])
    image.save(path, exif=exif, quality=95)


def truncated(path):
    """Write the first half of an image file."""
    Image.effect_noise(SIZE, 90).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged_middle(path):
    """Write a JPEG, some of whose bytes are changed in the middle."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), "uint8")
    Image.fromarray(noise).save(path, "JPEG")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(b"\xff\xd0" * 20)
    path.write_bytes(bytes(content))


def xmp(orientation):
    """Return XMP data that give an image's orientation."""
    tag = f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"'
    rdf = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description {tag}/></rdf:RDF>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'.encode()


def transparent(path):
    """Write `scene` with a transparent corner."""
    image = scene().convert("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(path)


GOOD = {
    "whole.jpg": lambda path: scene().save(path, quality=95),
    "pixel.png": lambda path: Image.new("RGB", (1, 1), (220, 30, 30)).save(path),
    "deep.png": lambda path: Image.fromarray(np.asarray(scene().convert("L")).astype("uint16") * 257).save(path),
    "grey.png": lambda path: scene().convert("L").save(path),
    "palette.png": lambda path: scene().quantize(8).save(path),
    "rgba.png": transparent,
    "cmyk.jpg": lambda path: scene().convert("CMYK").save(path, quality=95),
    "turned.jpg": turned,
}
IDENTIFY = "not a readable image (cannot identify"
UNREADABLE = {  # writer, what the reader reports, what the device's script says
    "missing.jpg": (lambda path: None, "missing, image left out", "No such file or directory"),
    "empty.jpg": (lambda path: path.touch(), IDENTIFY, "cannot identify"),
    "text.jpg": (lambda path: path.write_text("no image"), IDENTIFY, "cannot identify"),
}
TRUNCATED = "truncated.jpg"  # whose header is whole: it shows when the pixels are needed
