"""Finds objects in pictures with a detector exported by cspkeras: the one file that a device needs.

Copy it next to the model. It wants numpy, Pillow and ai-edge-litert or tflite-runtime, nothing else:

    python detect.py detector.tflite photo.jpg holidays/ "frames/*.png" --output detections

Or in a program:

    detector = Detector("detector.tflite")
    found = detector.detect(image)  # a uint8 RGB array -> {"boxes", "labels", "scores"}
"""

import argparse
import contextlib
import glob
import importlib
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")  # a folder's pictures
CANDIDATES, SOFT_CANDIDATES = 1000, 300  # the best (box, class) pairs, those that suppression sees
SUPPRESSIONS = ("greedy", "diou", "soft")
SOFT_SIGMA = 0.5  # of soft suppression's Gaussian, as published
# From a box's centre y, centre x, height, width to its corners x1, y1, x2, y2.
CENTRES, SIZES, HALVES = np.array([1, 0, 1, 0]), np.array([3, 2, 3, 2]), np.float32([-0.5, -0.5, 0.5, 0.5])
BLOCK = 128  # boxes that suppression compares at once: more cost more pairs, fewer more calls
KNOWN = dict(format=[1], task=["detection"], boxes=["cyxhw"], colors=["RGB"], resize=["letterbox", "stretch"])


class Detector:
    """A detector in a .tflite file; `settings` and `labels` (class names) are those that the file carries."""

    def __init__(self, path, threads=None):
        """Loads a file written by cspkeras.tflite.convert, to run on `threads` cores (None: all).

        Raises:
            OSError, ValueError: the file can't be read, is no .tflite file, or has no settings known here.
            ImportError: no TFLite runtime is installed.
        """
        self.settings, self.labels = read_settings(path)
        self.times = {}  # the last call's milliseconds: "preprocess", "inference", "postprocess"
        try:
            self._interpreter = find_interpreter()(str(path), num_threads=threads or os.cpu_count())
            self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path}: the TFLite runtime refuses it: {error}") from error
        (self._input,) = signature.get_input_details().values()
        outputs = signature.get_output_details()
        if not outputs.keys() >= {"boxes", "scores"}:
            raise ValueError(f"{path}: needs the outputs 'boxes' and 'scores'. Found: {sorted(outputs)}")
        self._boxes, self._scores = outputs["boxes"], outputs["scores"]
        self._size = tuple(self._input["shape"][1:3].tolist())
        if len(self.labels) != self._scores["shape"][-1]:
            raise ValueError(f"{path}: {len(self.labels)} labels for scores of {self._scores['shape']}")

    def detect(self, image, score_threshold=None, iou_threshold=None, suppression="greedy", class_agnostic=False):
        """Finds the objects in a picture.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size.
            score_threshold: only better scores count, 0..1. None: the file's own.
            iou_threshold: boxes of one class that overlap more are one object, 0..1. None: the file's own.
            suppression: "greedy", "diou" or "soft" (has no iou_threshold); see `suppress`.
            class_agnostic: whether boxes of other classes suppress, too.

        Returns:
            A dict, best object first: "boxes" (N, 4) float32, x1, y1, x2, y2 in the picture's pixels, clipped
            to the picture (a box outside it is dropped); "labels" (N,) int; "scores" (N,) float32.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"needs uint8 (height, width, 3). Received: {image.dtype} {image.shape}")
        score_threshold = self.settings["score_threshold"] if score_threshold is None else score_threshold
        iou_threshold = self.settings["iou_threshold"] if iou_threshold is None else iou_threshold
        if not (0 <= score_threshold <= 1 and 0 <= iou_threshold <= 1):
            raise ValueError(f"thresholds go from 0 to 1. Received: {score_threshold}, {iou_threshold}")
        if suppression not in SUPPRESSIONS:
            raise ValueError(f"suppression must be one of {', '.join(SUPPRESSIONS)}. Received: {suppression!r}")
        ticks = [time.perf_counter()]
        self._interpreter.set_tensor(self._input["index"], self._preprocess(image))
        ticks.append(time.perf_counter())
        self._interpreter.invoke()
        ticks.append(time.perf_counter())
        boxes, labels, scores = self._candidates(score_threshold)
        options = score_threshold, suppression, class_agnostic
        kept, scores = suppress(boxes, labels, scores, iou_threshold, *options)
        boxes = to_picture(boxes[kept], image.shape[:2], self._size, self.settings["input"]["resize"])
        within = np.logical_and.reduce(boxes[:, 2:] > boxes[:, :2], axis=1)
        found = {"boxes": boxes[within], "labels": labels[kept[within]], "scores": scores[within]}
        ticks.append(time.perf_counter())
        before, inference, after = (1000 * np.diff(ticks)).round(3).tolist()
        self.times = {"preprocess": before, "inference": inference, "postprocess": after}
        return found

    def _preprocess(self, image):
        """A picture as the network's input tensor."""
        how, dtype = self.settings["input"], self._input["dtype"]
        pixels = fit(image, self._size, how["resize"], how["fill"]).astype(np.float32)
        values = (pixels - np.float32(how["mean"])) * np.float32(how["scale"])
        scale, zero_point = self._input["quantization"]
        if scale:
            limits = np.iinfo(dtype)
            values = np.clip(np.round(values / np.float32(scale)) + zero_point, limits.min, limits.max)
        return values.astype(dtype)[np.newaxis]

    def _candidates(self, threshold):
        """Boxes (x1, y1, x2, y2 in 0..1 of the input), labels and scores above the threshold, best first."""
        # The interpreter's own memory, not copied; it may not be held when it runs again.
        raw_boxes = self._interpreter.tensor(self._boxes["index"])()[0]
        raw_scores = self._interpreter.tensor(self._scores["index"])()[0]
        # In units of the raw scores (and a hair, for rounding): only the few above it are looked at twice.
        scale, zero_point = self._scores["quantization"]
        limit = int((threshold / scale + zero_point + 1e-3) // 1) if scale else float(threshold)
        raw_scores = raw_scores.reshape(-1)
        (pairs,) = (raw_scores > limit).nonzero()  # box * classes + class
        scores = dequantize(raw_scores[pairs], self._scores)
        if len(pairs) > CANDIDATES:
            best = scores >= np.partition(scores, -CANDIDATES)[-CANDIDATES]
            pairs, scores = pairs[best], scores[best]
        order = (-scores).argsort(kind="stable")[:CANDIDATES]
        rows, labels = np.unravel_index(pairs[order], (len(raw_boxes), len(self.labels)))
        boxes = dequantize(raw_boxes[rows], self._boxes)
        return boxes.take(CENTRES, axis=1) + boxes.take(SIZES, axis=1) * HALVES, labels, scores[order]


def read_settings(path):
    """The settings and class names in the zip archive behind the network in a .tflite file."""
    with open(path, "rb") as file:
        if file.read(8)[4:] != b"TFL3":
            raise ValueError(f"{path}: not a .tflite file")
        try:
            with zipfile.ZipFile(file) as archive:
                settings = json.loads(archive.read("cspkeras.json"))
                labels = archive.read("labels.txt").decode().splitlines()
                given = {**settings, **settings["input"]}
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
            message = f"{path}: carries no cspkeras settings; export it with cspkeras.tflite.convert"
            raise ValueError(message) from None
    for key, choices in KNOWN.items():
        if given.get(key) not in choices:
            raise ValueError(f"{path}: its settings say {key}: {given.get(key)}; known here: {choices}")
    return settings, labels


def find_interpreter():
    """The Interpreter class of the TFLite runtime that is installed."""
    packages = ["ai_edge_litert"] + ["tflite_runtime"] * (np.__version__ < "2")  # it was built for NumPy 1
    for package in packages:
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"{package}.interpreter").Interpreter
    raise ImportError("no TFLite runtime: pip install ai-edge-litert (or tflite-runtime 'numpy<2')")


def dequantize(values, tensor):
    """A tensor's raw numbers as float32."""
    scale, zero_point = tensor["quantization"]
    values = values.astype(np.float32, copy=False)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values


def placement(image_size, input_size, resize):
    """Where a picture lies in the network's input: left, top, width, height (sizes are height, width)."""
    height, width = input_size
    if resize == "stretch":
        return 0, 0, width, height
    scale = min(height / image_size[0], width / image_size[1])
    new_height, new_width = (max(1, int(side * scale + 0.5)) for side in image_size)
    return (width - new_width) // 2, (height - new_height) // 2, new_width, new_height


def fit(image, input_size, resize, fill):
    """A uint8 RGB picture at the network's size: "letterbox" (undistorted, on grey `fill`) or "stretch"."""
    left, top, width, height = placement(image.shape[:2], input_size, resize)
    canvas = np.full((*input_size, 3), fill, np.uint8)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    canvas[top : top + height, left : left + width] = np.asarray(small)
    return canvas


def to_picture(boxes, image_size, input_size, resize):
    """Boxes x1, y1, x2, y2 in 0..1 of the network's input -> in the picture's pixels, clipped to it."""
    left, top, width, height = placement(image_size, input_size, resize)
    rows = image_size[::-1] * 2, input_size[::-1] * 2, (left, top) * 2, (width, height) * 2
    size, scale, offset, placed = np.array(rows, np.float32)
    return np.minimum(np.maximum((boxes * scale - offset) * (size / placed), 0), size)


def overlaps(a, b, diou=False):
    """IoU, or DIoU, of (N, 4) with (M, 4) boxes: (N, M); 0 without an area, NaN where a number is."""
    # Both axes in one array (2, N, M): half the calls, which are what a few boxes cost.
    (a1, a2), (b1, b2) = a.T.reshape(2, 2, -1, 1), b.T.reshape(2, 2, 1, -1)
    (a_width, a_height), (b_width, b_height) = a2 - a1, b2 - b1
    width, height = np.maximum(np.minimum(a2, b2) - np.maximum(a1, b1), 0)
    shared = width * height
    table = shared / np.maximum(a_width * a_height + b_width * b_height - shared, 1e-12)
    if diou:  # less the centres' squared distance in the squared diagonal of the box around both
        x, y = ((a1 + a2) - (b1 + b2)) / 2
        width, height = np.maximum(a2, b2) - np.minimum(a1, b1)
        table -= (x * x + y * y) / (width * width + height * height + 1e-9)
    return table


def suppress(boxes, labels, scores, iou_threshold, score_threshold=0, method="greedy", class_agnostic=False):
    """Suppression of (N, 4) boxes, best first, within each class or between all (`class_agnostic`).

    Args:
        method: "greedy": a better box drops those that overlap it by more than `iou_threshold`. "diou": the same,
            boxes with other centres overlapping less. "soft": it lowers their scores, by the overlap.

    Returns:
        (the indices that stay, best first; their scores).
    """
    if class_agnostic:
        labels = np.zeros_like(labels)
    if method == "soft":
        return soften(boxes[:SOFT_CANDIDATES], labels, scores, score_threshold)

    def beaten(rivals, block):
        over = overlaps(boxes[rivals], boxes[block], method == "diou") > iou_threshold
        return over & (labels[rivals, np.newaxis] == labels[block])

    left = np.ones(len(boxes), bool)
    for start in range(0, len(boxes), BLOCK):
        block = slice(start, start + BLOCK)
        if start:
            left[block] = ~beaten(left[:start].nonzero()[0], block).any(axis=0)
        for i, apart in enumerate(~beaten(block, block), 1):
            if left[start + i - 1]:
                left[start + i : start + BLOCK] &= apart[i:]
    (kept,) = left.nonzero()
    return kept, scores[kept]


def soften(boxes, labels, scores, threshold):
    """Soft suppression (arXiv 1704.04503): as `suppress`."""
    labels, waiting = labels[: len(boxes)], scores[: len(boxes)].copy()
    table = overlaps(boxes, boxes)
    table = np.where((table > 0) & np.equal.outer(labels, labels), table, 0)
    factors = np.exp(-(table * table) / SOFT_SIGMA)
    order, lowered = [], []
    while len(waiting) and waiting[best := int(waiting.argmax())] > threshold:
        order.append(best)
        lowered.append(waiting[best])
        waiting *= factors[best]
        waiting[best] = -1
    return np.array(order, int), np.array(lowered, np.float32)


def load_picture(path):
    """A picture file as an upright RGB Image, transparent parts on white."""
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


def draw(picture, found, names):
    """Draws what `Detector.detect` found on an RGB Image: boxes, class names, scores."""
    pen = ImageDraw.Draw(picture)
    line = max(1, round(sum(picture.size) / 500))
    font = ImageFont.load_default(max(10, sum(picture.size) / 80))
    for i in reversed(range(len(found["scores"]))):  # the best last: its text lies on top
        label, (x1, y1, x2, y2) = int(found["labels"][i]), found["boxes"][i].round().astype(int).tolist()
        color, text = class_color(label), f"{names[label]} {found['scores'][i]:.2f}"
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=color, width=line)
        width, height = (side + line for side in pen.textbbox((line, line), text, font=font)[2:])
        x, y = max(0, min(x1, picture.width - width)), y1 - height * (y1 >= height)  # above if it fits
        pen.rectangle((x, y, x + width, y + height), fill=color)
        bright = np.dot(color, (0.299, 0.587, 0.114)) > 140
        pen.text((x + line, y + line), text, fill="black" if bright else "white", font=font)


def class_color(label):
    """A class's own RGB colour: neighbours lie a golden ratio apart on the colour circle."""
    return ImageColor.getrgb(f"hsv({label * 222.492 % 360}, 85%, {100 - label % 3 * 12}%)")


def expand(name):
    """The picture files that an argument names: a file, a folder's pictures, or what a pattern matches."""
    path = Path(name)
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    matches = [] if path.exists() else sorted(glob.glob(name, recursive=True))
    return [Path(match) for match in matches if not os.path.isdir(match)] or [path]


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


def detect_files(options):
    """Does what the command line asks: annotated pictures, the list of detections, a line a picture."""
    detector, output = Detector(options.model, options.threads), options.output
    records, taken, skipped = [], set(), 0
    for path in dict.fromkeys(path for name in options.pictures for path in expand(name)):
        if path.resolve().parent == output.resolve():
            raise ValueError(f"{path}: lies in the output folder; name another with --output")
        try:
            picture = load_picture(path)
        except Exception as error:  # whatever a broken file makes a decoder raise
            print(f"{path}: skipped: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            skipped += 1
            continue
        chosen = options.score, options.iou, options.nms, options.class_agnostic
        found = detector.detect(np.asarray(picture), *chosen)
        names = [detector.labels[label] for label in found["labels"]]
        scores, boxes = (found[key].astype(float).round(4).tolist() for key in ("scores", "boxes"))
        objects = [{"label": names[i], "score": scores[i], "box": boxes[i]} for i in range(len(names))]
        size = {"width": picture.width, "height": picture.height}
        records.append({"file": str(path), **size, "time_ms": detector.times, "detections": objects})
        jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        target = path.name if jpeg else f"{path.stem}.png"
        while target.lower() in taken:  # pictures of one name in several folders
            target = f"{path.resolve().parent.name}-{target}"
        taken.add(target.lower())
        draw(picture, found, detector.labels)
        with written_aside(output / target) as aside:
            picture.save(aside, "JPEG" if jpeg else "PNG", quality=92)
        listed = ", ".join(f"{names[i]} {scores[i]:.2f}" for i in range(min(4, len(names))))
        listed = f" ({listed}{', ...' * (len(names) > 4)})" if names else ""
        counted = f"{len(names)} object{'s' * (len(names) != 1)}"
        print(f"{path}: {counted}{listed}, {sum(detector.times.values()):.1f} ms a frame", flush=True)
    if not records:
        raise ValueError("no picture could be read")
    with written_aside(options.json or output / "detections.json") as aside:
        aside.write_text(json.dumps(records, indent=1))
    median = np.median([sum(record["time_ms"].values()) for record in records])
    print(f"pictures: {len(records)}, skipped: {skipped}, median {median:.1f} ms a frame")


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a .tflite file written by cspkeras.tflite.convert")
    parser.add_argument("pictures", nargs="+", help="picture files, folders of them, patterns like '*.jpg'")
    parser.add_argument("--output", type=Path, default="detections", help="the annotated pictures' folder")
    parser.add_argument("--score", type=float, help="only better scores count, 0..1 (else the file's own)")
    parser.add_argument("--iou", type=float, help="overlap that suppresses, 0..1 (else the file's own)")
    parser.add_argument("--nms", default="greedy", choices=SUPPRESSIONS, help="how overlaps suppress")
    parser.add_argument("--class-agnostic", action="store_true", help="other classes' boxes suppress, too")
    parser.add_argument("--threads", type=int, help="cores to run on (else all)")
    parser.add_argument("--json", type=Path, help="the detections' file (else OUTPUT/detections.json)")
    try:
        detect_files(parser.parse_args(arguments))
        return 0
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except (ImportError, OSError, ValueError) as error:
        named = isinstance(error, OSError) and error.filename
        status, message = 1, f"{error.filename}: {error.strerror}" if named else str(error)
    print("detect.py:", " ".join(message.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
