"""Images for `detect.py` and `classify.py`: found, read, resized to the network's input, and saved."""

import base64
import contextlib
import errno
import glob
import importlib
import io
import json
import math
import os
import queue
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

if __package__ or TYPE_CHECKING:
    from .limits import PIXELS
else:  # as a script
    from limits import PIXELS

SUFFIXES = (  # a folder's images
    *(".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),  # JPEG
    *(".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),  # JPEG 2000
    *(".pbm", ".pgm", ".pnm", ".ppm"),
    *(".avif", ".bmp", ".dib", ".gif", ".png", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
)
# Of those suffixes: Pillow knows others, and calls Ghostscript for what says in its first bytes that it is EPS.
FORMATS = "JPEG", "PNG", "BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF", "QOI", "TGA"
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
STREAM = re.compile("(?i)(rtsps?|rtmps?|https?|udp|tcp)://")
ORIENTATION = 0x0112  # EXIF tag; from 5 on the image lies on its side
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_image(source):
    """Open an image file, a path or a binary file, as `PIL.Image.open` does; its pixels are not read yet.

    An OSError: it is not a file, or of another format than `FORMATS`. A ValueError: it has too many pixels.
    """
    if isinstance(source, (str, Path)) and os.path.exists(source) and not os.path.isfile(source):
        raise OSError("it is not a file")  # a pipe would wait
    most = PIXELS.most
    if most > (Image.MAX_IMAGE_PIXELS or most) and most > PIXELS.default:
        Image.MAX_IMAGE_PIXELS = most  # or Pillow refuses what was asked for
    try:
        image = Image.open(source, formats=FORMATS)
        pixels = math.prod(image.size)
    except Image.DecompressionBombError as error:
        pixels = int(re.search(r"\d+", str(error))[0])
        if pixels <= most:
            raise
    PIXELS.check(pixels)
    return image


def orientation(image):
    """Return the EXIF orientation, 1 to 8, by which an opened `PIL.Image.Image` still has to be turned.

    It may stand in XMP alone. What is not a whole number from 1 to 8 means nothing.
    """
    if image.format == "PNG":
        image.load()  # the tag may follow the pixels
    if image.format == "TIFF" and ORIENTATION in image.tag_v2:
        return 1  # Pillow gives the upright size, and turns the image when it loads it
    try:
        value = image.getexif().get(ORIENTATION)
    except Exception:  # whatever damaged EXIF data make Pillow raise
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def load_image(path):
    """Load an image file as an upright RGB `PIL.Image.Image`, transparent parts on white."""
    with open_image(path) as file:
        file.filename = ""  # or Pillow maps the file to memory, and mixes up a TIFF's rows and columns when it turns it
        file.load()  # before the question, since Pillow turns TIFF files now
        turn = TURNS.get(orientation(file))
        image = file if turn is None else file.transpose(turn)
    if image.mode[0] in "IF":  # 16 bits or a float per pixel: Pillow's own conversion cuts them at 255
        values = np.array(image, np.float32)
        values /= 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        values *= 255
        values += 0.5
        image = Image.fromarray(values.clip(0, 255, out=values).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def reason(error):
    """Return why an image can't be read: one line, without its path and without an object's address."""
    if isinstance(error, UnidentifiedImageError):
        return "cannot identify it: unknown or damaged format"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "the file", text).split())


def placement(image_size, input_size, resize):
    """Return where an image lies in the network's input: left, top, width, height (sizes are height, width).

    It fills the input ("stretch"), or keeps its proportions, in the middle ("letterbox") or in the corner ("topleft").
    """
    height, width = input_size
    if resize == "stretch":
        return 0, 0, width, height
    scale = min(height / image_size[0], width / image_size[1])
    new_height, new_width = (max(1, int(side * scale + 0.5)) for side in image_size)
    if resize == "topleft":
        return 0, 0, new_width, new_height
    return (width - new_width) // 2, (height - new_height) // 2, new_width, new_height


def to_input(image, input_size, resize, fill):
    """Resize a uint8 RGB image to the input: whole on grey `fill`, as `placement` has it, or its middle ("crop")."""
    if resize == "crop":
        height, width = input_size
        scale = max(height / image.shape[0], width / image.shape[1])
        left, top = (image.shape[1] - width / scale) / 2, (image.shape[0] - height / scale) / 2
        box = (left, top, left + width / scale, top + height / scale)
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box))
    left, top, width, height = placement(image.shape[:2], input_size, resize)
    canvas = np.full((*input_size, 3), fill, np.uint8)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    canvas[top : top + height, left : left + width] = np.asarray(small)
    return canvas


def halved(image, input_size, resize):
    """Halve a video's frame of even sides while `to_input` still has to shrink it: with OpenCV half the time in all."""
    cv2, nearest = importlib.import_module("cv2"), max if resize in ("crop", "stretch") else min
    while not any(side % 2 for side in image.shape[:2]) and nearest(np.divide(input_size, image.shape[:2])) <= 0.5:
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return image


def to_image(boxes, image_size, input_size, resize):
    """Map boxes x1, y1, x2, y2 from 0..1 of the network's input to the image's pixels, clipped to it."""
    left, top, width, height = placement(image_size, input_size, resize)
    rows = image_size[::-1] * 2, input_size[::-1] * 2, (left, top) * 2, (width, height) * 2
    size, scale, offset, placed = np.array(rows, np.float32)
    return np.minimum(np.maximum((boxes * scale - offset) * (size / placed), 0), size)


def image_files(name):
    """List the image files that an argument names: a file, a folder's images, or what a pattern matches."""
    path = Path(name)
    if os.path.isdir(name):  # unlike Path's, without an error for a name that is too long
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    matches = [] if os.path.exists(name) else sorted(glob.glob(name, recursive=True))
    return [Path(match) for match in matches if not os.path.isdir(match)] or [path]


def save(image, path, output, taken):
    """Save an annotated image in the folder `output`, under a name that is not `taken`."""
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    target = path.name if jpeg else f"{path.stem}.png"
    while target.lower() in taken:  # images of one name in several folders
        target = f"{folder_of(path).name}-{target}"
    taken.add(target.lower())
    with written_aside(output / target) as aside:
        image.save(aside, "JPEG" if jpeg else "PNG", quality=92)


def folder_of(path):
    """Return the folder of a file, links followed; unlike `Path.resolve`, also where links go round in a circle."""
    return Path(os.path.realpath(path)).parent


def check_writable(path):
    """Raise an OSError if a file can't be written, before there is something to write."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    aside = _aside(path)
    try:
        aside.touch()
        aside.unlink()
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def written_aside(path):
    """Give a path to write to; what is there in the end gets the name `path`, whole or not at all."""
    aside = _aside(path)
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _aside(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.part")


def frames(names):
    """Yield what the command line names: (name, a frame's number or None, uint8 RGB array or error).

    These are image files, folders, patterns, videos, a camera's number, a stream's address, or "-" for lines of
    standard input, each an image's path or {"file": its path} or {"image": its bytes in base64, "id": what it is
    called}.
    """
    for name in names:
        if name == "-":
            if hasattr(sys.stdin, "reconfigure"):
                sys.stdin.reconfigure(errors="surrogateescape")  # a path may hold any bytes
            for line in sys.stdin:
                yield _line(line.strip())
        elif name.isdecimal() or name.lower().endswith(VIDEOS) or STREAM.match(name):
            try:
                yield from _video(name)
            except (ImportError, OSError, ValueError) as error:
                yield name, None, error
        else:
            yield from _files(name)


def _files(name):
    try:
        files = image_files(name)
    except OSError as error:
        yield name, None, error
        return
    if not files:
        yield name, None, ValueError("a folder without images")
    for path in files:
        yield str(path), None, _image(path)


def prefetched(items):
    """Yield the items, each made by another thread while the one before is used."""
    made, end = queue.Queue(1), object()

    def make():
        error = None
        try:
            for item in items:
                made.put((item, None))
        except BaseException as raised:
            error = raised
        made.put((end, error))

    threading.Thread(target=make, daemon=True).start()  # an interrupted program does not wait for it
    while (taken := made.get())[0] is not end:
        yield taken[0]
    if taken[1] is not None:
        raise taken[1]


def _image(file):
    try:
        return np.asarray(load_image(file))
    except Exception as error:  # whatever a broken file makes a decoder raise
        return error if getattr(error, "strerror", None) else OSError(reason(error))


def _line(line):
    name, needs = line[:60], 'needs a path, {"file": path} or {"image": base64}'
    try:
        asked = json.loads(line) if line.startswith("{") else {"file": line}
        name = str(asked.get("file", asked.get("id", "image" if "image" in asked else name)))
        if isinstance(asked.get("file"), str) and name:
            return name, None, _image(name)
        if isinstance(asked.get("image"), str):
            return name, None, _image(io.BytesIO(base64.b64decode(asked["image"], validate=True)))
    except (RecursionError, ValueError) as error:
        needs += f" ({error})"
    return name, None, ValueError(needs)


def _video(name):
    """Yield the frames of a video file, of the camera of that number or of the stream at that address."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise ImportError("videos, cameras and streams need OpenCV: pip install opencv-python-headless") from None
    camera, stream = name.isdecimal(), STREAM.match(name)
    if not camera and not stream:
        open(name, "rb").close()  # where there is no such file, Python's error is the best
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    source = cv2.VideoCapture(int(name) if camera else name)
    if not source.isOpened():
        raise ValueError("no such camera" if camera else f"OpenCV can't read this {'stream' if stream else 'video'}")
    count = 0
    while (frame := source.read()[1]) is not None:
        yield name, count, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
        count += 1
    expected = 0 if camera else int(source.get(cv2.CAP_PROP_FRAME_COUNT))
    if not count or count < expected:
        print(f"{name}: ends early, after {count} of {max(0, expected)} frames", file=sys.stderr)
