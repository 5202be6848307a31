"""Images for `detect.py` and `classify.py`, which it lies beside: read, fitted, gone through, drawn on and saved."""

import base64
import contextlib
import glob
import importlib
import io
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")  # a folder's images
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


def load_image(path):
    """An image file as an upright RGB Image, transparent parts on white."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
    if image.mode[0] in "IF":  # 16 bits or a float a pixel: Pillow's own conversion cuts them at 255
        values = np.asarray(image, np.float32)
        white = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        image = Image.fromarray((values / white * 255 + 0.5).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def placement(image_size, input_size, resize):
    """Where an image lies in the network's input: left, top, width, height (sizes are height, width)."""
    height, width = input_size
    if resize == "stretch":
        return 0, 0, width, height
    scale = min(height / image_size[0], width / image_size[1])
    new_height, new_width = (max(1, int(side * scale + 0.5)) for side in image_size)
    return (width - new_width) // 2, (height - new_height) // 2, new_width, new_height


def fit(image, input_size, resize, fill):
    """A uint8 RGB image at the network's size: on grey `fill` ("letterbox"), its middle ("crop"), or a "stretch"."""
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
    """A video's frame, its even sides halved while `fit` still has to shrink it: with OpenCV half the time in all."""
    cv2, nearest = importlib.import_module("cv2"), min if resize == "letterbox" else max
    while not any(side % 2 for side in image.shape[:2]) and nearest(np.divide(input_size, image.shape[:2])) <= 0.5:
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return image


def to_image(boxes, image_size, input_size, resize):
    """Boxes x1, y1, x2, y2 in 0..1 of the network's input -> in the image's pixels, clipped to it."""
    left, top, width, height = placement(image_size, input_size, resize)
    rows = image_size[::-1] * 2, input_size[::-1] * 2, (left, top) * 2, (width, height) * 2
    size, scale, offset, placed = np.array(rows, np.float32)
    return np.minimum(np.maximum((boxes * scale - offset) * (size / placed), 0), size)


def draw(image, found, names):
    """Draws what `Detector.detect` found on an RGB Image: boxes, class names, scores."""
    pen = ImageDraw.Draw(image)
    line = max(1, round(sum(image.size) / 500))
    font = ImageFont.load_default(max(10, sum(image.size) / 80))
    for i in reversed(range(len(found["scores"]))):  # the best last: its text lies on top
        label, (x1, y1, x2, y2) = int(found["labels"][i]), found["boxes"][i].round().astype(int).tolist()
        color, text = class_color(label), f"{names[label]} {found['scores'][i]:.2f}"
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=color, width=line)
        width, height = (side + line for side in pen.textbbox((line, line), text, font=font)[2:])
        x, y = max(0, min(x1, image.width - width)), y1 - height * (y1 >= height)  # above if it fits
        pen.rectangle((x, y, x + width, y + height), fill=color)
        bright = np.dot(color, (0.299, 0.587, 0.114)) > 140
        pen.text((x + line, y + line), text, fill="black" if bright else "white", font=font)


def class_color(label):
    """A class's own RGB colour: neighbours lie a golden ratio apart on the colour circle."""
    return ImageColor.getrgb(f"hsv({label * 222.492 % 360}, 85%, {100 - label % 3 * 12}%)")


def expand(name):
    """The image files that an argument names: a file, a folder's images, or what a pattern matches."""
    path = Path(name)
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    matches = [] if path.exists() else sorted(glob.glob(name, recursive=True))
    return [Path(match) for match in matches if not os.path.isdir(match)] or [path]


def save(image, path, output, taken):
    """Saves an annotated image in the folder `output`, under a name that is not `taken`."""
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    target = path.name if jpeg else f"{path.stem}.png"
    while target.lower() in taken:  # images of one name in several folders
        target = f"{path.resolve().parent.name}-{target}"
    taken.add(target.lower())
    with written_aside(output / target) as aside:
        image.save(aside, "JPEG" if jpeg else "PNG", quality=92)


@contextlib.contextmanager
def written_aside(path):
    """Gives a path to write to; what is there in the end gets the name `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def frames(names):
    """What the command line names, one after the other: (name, a frame's number or None, uint8 RGB array or error).

    Args:
        names: image files, folders, patterns, videos, a camera's number, or "-" for lines of standard input, each a
            image's path or {"file": its path} or {"image": its bytes in base64, "id": what it is called}.
    """
    for name in names:
        if name == "-":
            for line in filter(str.strip, sys.stdin):
                yield from _line(line.strip())
        elif name.isdecimal() or name.lower().endswith(VIDEOS):
            yield from _video(name)
        else:
            for path in expand(name):
                yield str(path), None, _image(path)


def ahead(items):
    """The items, each made by another thread while the one before is used."""
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


def go_through(options, network, answer, json_file=None, output=None):
    """Does what the command line asks, image by image: prints a line each, and writes a file of all.

    Args:
        answer: a function of a prepared image, its array, name and frame's number or None, that gives what its record
            says and what its line does.
        json_file: path of the records' file, or None.
        output: a folder that no image may come from, or None.
    """
    lines, records, seen, skipped, start = "-" in options.images, [], set(), 0, time.perf_counter()

    def prepared():
        for name, number, image in frames(dict.fromkeys(options.images)):
            if output and number is None and not lines and Path(name).resolve().parent == output.resolve():
                raise ValueError(f"{name}: lies in the output folder; name another with --output")
            if lines or number is not None or name not in seen:
                seen.add(name)
                failed = isinstance(image, Exception)
                yield name, number, image, None if failed else network.prepare(image, video=number is not None)

    for name, number, image, values in ahead(prepared()):
        if values is None:
            print(f"{name}: skipped: {getattr(image, 'strerror', None) or image}", file=sys.stderr)
            skipped += 1
            continue
        about = {"file": name} | ({} if number is None else {"frame": number})
        about |= {"width": image.shape[1], "height": image.shape[0]}
        said, shown = answer(values, image, name, number)
        records.append(about | {"time_ms": network.times} | said)
        place = name if number is None else f"{name} frame {number}"
        line = f"{place}: {shown}, {sum(network.times.values()):.1f} ms a frame"
        print(json.dumps(records[-1]) if lines else line, flush=True)
    if not records:
        raise ValueError("no image could be read")
    seconds, times = time.perf_counter() - start, [record["time_ms"] for record in records]
    parts = ", ".join(f"{part} {np.median([t[part] for t in times]):.1f}" for part in times[0])
    share = sum(t["inference"] for t in times) / 1000 / seconds
    speed = f"{len(records) / seconds:.1f} frames a second, {share:.0%} of the time inference"
    print(f"{speed}; median ms: {parts}", file=sys.stderr)
    if not lines:
        if json_file:
            with written_aside(json_file) as aside:
                aside.write_text(json.dumps(records, indent=1))
        median = np.median([sum(t.values()) for t in times])
        print(f"images: {len(records)}, skipped: {skipped}, median {median:.1f} ms a frame")


def _image(file):
    try:
        return np.asarray(load_image(file))
    except Exception as error:  # whatever a broken file makes a decoder raise
        return error


def _line(line):
    try:
        asked = json.loads(line) if line.startswith("{") else {"file": line}
        name = str(asked["file"] if "file" in asked else asked.get("id", "image"))
        file = name if "file" in asked else io.BytesIO(base64.b64decode(asked["image"], validate=True))
    except (KeyError, ValueError) as error:
        yield line[:60], None, ValueError(f'needs a path, {{"file": path}} or {{"image": base64}} ({error})')
    else:
        yield name, None, _image(file)


def _video(name):
    """The frames of a video file or of the camera of that number."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise ImportError("videos and cameras need OpenCV: pip install opencv-python-headless") from None
    camera = name.isdecimal()
    if not camera:
        open(name, "rb").close()  # that there is no such file, Python says best
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    stream = cv2.VideoCapture(int(name) if camera else name)
    if not stream.isOpened():
        raise ValueError(f"camera {name}: is not there" if camera else f"{name}: OpenCV can't read this video")
    count = 0
    while (frame := stream.read()[1]) is not None:
        yield name, count, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
        count += 1
    expected = 0 if camera else int(stream.get(cv2.CAP_PROP_FRAME_COUNT))
    if not count or count < expected:
        print(f"{name}: ends early, after {count} of {expected} frames", file=sys.stderr)
