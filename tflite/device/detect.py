"""Finds objects in images with a detector exported by cspkeras: what a device needs, with frames.py.

Copy both next to the model. They want numpy, Pillow, ai-edge-litert or tflite-runtime, and OpenCV for videos:

    python detect.py detector.tflite photo.jpg holidays/ "frames/*.png" film.mp4 --output detections
    find . -name "*.jpg" | python detect.py detector.tflite - > found.jsonl

Or in a program:

    found = Detector("detector.tflite").detect(image)  # a uint8 RGB array -> {"boxes", "labels", "scores"}
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

try:
    from .frames import draw, fit, go_through, halved, save, to_image
except ImportError:  # as a script
    from frames import draw, fit, go_through, halved, save, to_image

CANDIDATES, SOFT_CANDIDATES = 1000, 300  # the best (box, class) pairs, those that suppression sees
SUPPRESSIONS = ("greedy", "diou", "soft")
SOFT_SIGMA = 0.5  # of soft suppression's Gaussian, as published
# From a box's centre y, centre x, height, width to its corners x1, y1, x2, y2.
CENTRES, SIZES, HALVES = np.array([1, 0, 1, 0]), np.array([3, 2, 3, 2]), np.float32([-0.5, -0.5, 0.5, 0.5])
BLOCK = 128  # boxes that suppression compares at once: more cost more pairs, fewer more calls
SCRIPTS = dict(detection="detect.py", classification="classify.py")  # by what a file's settings call its task


class Network:
    """A network of images in a .tflite file; `settings` and `labels` (class names) are those that the file carries.

    A subclass says what it knows: `USUAL`, the settings of a file that carries none, and `KNOWN`, the values that some
    settings may have.
    """

    def __init__(self, path, threads=None, delegate="cpu", labels=None, size=None):
        """Loads a file written by cspkeras.tflite.export.convert.

        Args:
            threads: cores to run on; None: all.
            delegate: "cpu", "gpu" (the library libtensorflowlite_gpu_delegate.so) or a delegate library's path.
            labels, size: class names and the input's (height, width), for a file that carries no settings.

        Raises:
            OSError, ValueError: the file can't be read, is no .tflite file, or has no settings known here.
            ImportError: no TFLite runtime is installed.
        """
        self.settings, self.labels = read_settings(path, labels, type(self))
        self.times = {}  # the last call's milliseconds: "preprocess", "inference", "postprocess"
        try:
            self._interpreter = load(path, threads or os.cpu_count(), delegate, size)
            signature = self._interpreter.get_signature_runner()
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(f"{path}: the TFLite runtime refuses it: {error}") from error
        (self._input,) = signature.get_input_details().values()
        self._size = tuple(self._input["shape"][1:3].tolist())
        self._take_outputs(path, signature.get_output_details())
        if len(self.labels) != self._scores["shape"][-1]:
            raise ValueError(f"{path}: {len(self.labels)} labels for scores of {self._scores['shape']}")

    def prepare(self, image, video=False):
        """An image as the network takes it, too; may be done in another thread while that works on another.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size.
            video: whether it is a video's frame, which is shrunk the quick way.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"needs uint8 (height, width, 3). Received: {image.dtype} {image.shape}")
        start = time.perf_counter()
        small = halved(image, self._size, self.settings["input"]["resize"]) if video else image
        return self._preprocess(small), image.shape[:2], time.perf_counter() - start

    def _preprocess(self, image):
        """An image as the network's input tensor."""
        how, dtype = self.settings["input"], self._input["dtype"]
        values = fit(image, self._size, how["resize"], how["fill"]).astype(np.float32)
        values -= np.float32(how["mean"])  # in place: fresh memory costs more than the arithmetic
        values *= np.float32(how["scale"])
        scale, zero_point = self._input["quantization"]
        if scale:
            limits = np.iinfo(dtype)
            values = np.clip(np.round(values / np.float32(scale)) + zero_point, limits.min, limits.max)
        return values.astype(dtype, copy=False)[np.newaxis]

    def _run(self, image, read):
        """What `read` makes of the outputs, and of the image's size, for an image or what `prepare` made of it."""
        values, image_size, before = image if isinstance(image, tuple) else self.prepare(image)
        self._interpreter.set_tensor(self._input["index"], values)
        ticks = [time.perf_counter()]
        self._interpreter.invoke()
        ticks.append(time.perf_counter())
        answer = read(image_size)
        ticks.append(time.perf_counter())
        before, inference, after = (1000 * np.array([before, *np.diff(ticks)])).round(3).tolist()
        self.times = {"preprocess": before, "inference": inference, "postprocess": after}
        return answer

    def _raw(self, tensor):
        """An output, in the interpreter's own memory, not copied; it may not be held when that runs again."""
        return self._interpreter.tensor(tensor["index"])()[0]


class Detector(Network):
    """A detector in a .tflite file."""

    USUAL = dict(
        score_threshold=0.25, iou_threshold=0.5, input=dict(mean=0, scale=1 / 255, resize="letterbox", fill=114)
    )
    KNOWN = dict(task=["detection"], format=[1], boxes=["cyxhw"], colors=["RGB"], resize=["letterbox", "stretch"])

    def _take_outputs(self, path, outputs):
        if not outputs.keys() >= {"boxes", "scores"}:
            raise ValueError(f"{path}: needs the outputs 'boxes' and 'scores'. Found: {sorted(outputs)}")
        self._boxes, self._scores = outputs["boxes"], outputs["scores"]

    def detect(self, image, score_threshold=None, iou_threshold=None, suppression="greedy", class_agnostic=False):
        """Finds the objects in an image.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size; or what `prepare` made of it.
            score_threshold: only better scores count, 0..1. None: the file's own.
            iou_threshold: boxes of one class that overlap more are one object, 0..1. None: the file's own.
            suppression: "greedy", "diou" or "soft" (has no iou_threshold); see `suppress`.
            class_agnostic: whether boxes of other classes suppress, too.

        Returns:
            A dict, best object first: "boxes" (N, 4) float32, x1, y1, x2, y2 in the image's pixels, clipped
            to the image (a box outside it is dropped); "labels" (N,) int; "scores" (N,) float32.
        """
        score_threshold = self.settings["score_threshold"] if score_threshold is None else score_threshold
        iou_threshold = self.settings["iou_threshold"] if iou_threshold is None else iou_threshold
        if not (0 <= score_threshold <= 1 and 0 <= iou_threshold <= 1):
            raise ValueError(f"thresholds go from 0 to 1. Received: {score_threshold}, {iou_threshold}")
        if suppression not in SUPPRESSIONS:
            raise ValueError(f"suppression must be one of {', '.join(SUPPRESSIONS)}. Received: {suppression!r}")

        def read(image_size):
            boxes, labels, scores = self._candidates(score_threshold)
            options = score_threshold, suppression, class_agnostic
            kept, scores = suppress(boxes, labels, scores, iou_threshold, *options)
            boxes = to_image(boxes[kept], image_size, self._size, self.settings["input"]["resize"])
            within = np.logical_and.reduce(boxes[:, 2:] > boxes[:, :2], axis=1)
            return {"boxes": boxes[within], "labels": labels[kept[within]], "scores": scores[within]}

        return self._run(image, read)

    def _candidates(self, threshold):
        """Boxes (x1, y1, x2, y2 in 0..1 of the input), labels and scores above the threshold, best first."""
        raw_boxes, raw_scores = self._raw(self._boxes), self._raw(self._scores)
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


def read_settings(path, labels=None, kind=Detector):
    """The settings and class names in the zip archive behind the network, or, given `labels`, the usual ones."""
    with open(path, "rb") as file:
        if (head := file.read(8))[4:] != b"TFL3":
            raise ValueError(f"{path}: not a .tflite file" if head else f"{path}: not a .tflite file, but an empty one")
        if labels:
            return kind.USUAL, labels
        try:
            with zipfile.ZipFile(file) as archive:
                settings = json.loads(archive.read("cspkeras.json"))
                labels = archive.read("labels.txt").decode().splitlines()
                given = {**settings, **settings["input"]}
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
            message = "carries no cspkeras settings; export it with cspkeras.tflite.export.convert, or give --labels"
            raise ValueError(f"{path}: {message}") from None
    for key, choices in kind.KNOWN.items():
        if given.get(key) not in choices:
            script = SCRIPTS.get(str(given.get(key))) if key == "task" else None
            other = f"{script} runs it" if script else f"known here: {choices}"
            raise ValueError(f"{path}: its settings say {key}: {given.get(key)}; {other}")
    return settings, labels


def load(path, threads, delegate, size):
    """The Interpreter of a file, ready to run; `size` (height, width) is for an input that has none."""
    runtime, options = find_runtime(), {}
    if delegate != "cpu":
        library = "libtensorflowlite_gpu_delegate.so" if delegate == "gpu" else delegate
        options["experimental_delegates"] = [runtime.load_delegate(library)]
    interpreter = runtime.Interpreter(str(path), num_threads=threads, **options)
    if size:
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, *size, 3))
    interpreter.allocate_tensors()
    return interpreter


def try_out(path, use):
    """Calls `use`, which runs a file, in a child process: a damaged one may end the process. Its errors come later."""
    find_runtime()  # once, for both
    if not hasattr(os, "fork"):
        return
    if not (child := os.fork()):
        with contextlib.suppress(Exception):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.alarm(60)
            use()
        os._exit(0)
    if os.WIFSIGNALED(status := os.waitpid(child, 0)[1]):
        raise ValueError(f"{path}: the TFLite runtime dies of it ({signal.Signals(os.WTERMSIG(status)).name})")


def find_runtime():
    """The interpreter module of the TFLite runtime that is installed."""
    packages = ["ai_edge_litert"] + ["tflite_runtime"] * (np.__version__ < "2")  # it was built for NumPy 1
    for package in packages:
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"{package}.interpreter")
    raise ImportError("no TFLite runtime: pip install ai-edge-litert (or tflite-runtime 'numpy<2')")


def dequantize(values, tensor):
    """A tensor's raw numbers as float32."""
    scale, zero_point = tensor["quantization"]
    values = values.astype(np.float32, copy=False)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values


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


def network_of(options, kind, answer):
    """The `kind` of `Network` that the command line names; `answer`, what is asked of it, is tried out first."""
    labels = options.labels and options.labels.read_text().splitlines()
    arguments = options.model, options.threads, options.delegate, labels, options.size
    try_out(options.model, lambda: answer(kind(*arguments), np.zeros((9, 9, 3), np.uint8)))
    return kind(*arguments)


def detect_files(options):
    """Does what the command line asks: annotated images, the list of detections, a line an image."""
    detector = network_of(options, Detector, lambda made, image: made.detect(image))
    output, taken = options.output, set()

    def answer(values, picture, name, number):
        found = detector.detect(values, options.score, options.iou, options.nms, options.class_agnostic)
        names = [detector.labels[label] for label in found["labels"]]
        scores, boxes = (found[key].astype(float).round(4).tolist() for key in ("scores", "boxes"))
        objects = [{"label": names[i], "score": scores[i], "box": boxes[i]} for i in range(len(names))]
        if "-" not in options.images and (number is None or options.draw_frames):
            drawn = Image.fromarray(picture)
            draw(drawn, found, detector.labels)
            save(drawn, Path(name if number is None else f"{Path(name).stem}-{number:06}.jpg"), output, taken)
        listed = ", ".join(f"{names[i]} {scores[i]:.2f}" for i in range(min(4, len(names))))
        listed = f" ({listed}{', ...' * (len(names) > 4)})" if names else ""
        return {"detections": objects}, f"{len(names)} object{'s' * (len(names) != 1)}{listed}"

    go_through(options, detector, answer, options.json or output / "detections.json", output)


def make_parser(about):
    """A parser of the arguments that each of the device's scripts has."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("model", help="a .tflite file written by cspkeras.tflite.export.convert")
    parser.add_argument(
        "images", nargs="+", help="images, folders, patterns like '*.jpg', videos, a camera's number, or -"
    )
    parser.add_argument("--threads", type=int, help="cores to run on (else all)")
    parser.add_argument("--delegate", default="cpu", help="cpu, gpu, or a delegate library's path")
    parser.add_argument("--labels", type=Path, help="a class a line, for a file that carries no settings")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of an input without one")
    return parser


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = make_parser(__doc__)
    parser.add_argument("--output", type=Path, default="detections", help="the annotated images' folder")
    parser.add_argument("--score", type=float, help="only better scores count, 0..1 (else the file's own)")
    parser.add_argument("--iou", type=float, help="overlap that suppresses, 0..1 (else the file's own)")
    parser.add_argument("--nms", default="greedy", choices=SUPPRESSIONS, help="how overlaps suppress")
    parser.add_argument("--class-agnostic", action="store_true", help="other classes' boxes suppress, too")
    parser.add_argument("--draw-frames", action="store_true", help="annotate a video's frames, too")
    parser.add_argument("--json", type=Path, help="the detections' file (else OUTPUT/detections.json)")
    return status_of("detect.py", detect_files, parser.parse_args(arguments))


def status_of(script, run, options):
    """The exit status of a script; what goes wrong is said in one line."""
    try:
        run(options)
        return 0
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except (ImportError, OSError, ValueError) as error:
        named = isinstance(error, OSError) and error.filename
        status, message = 1, f"{error.filename}: {error.strerror}" if named else str(error)
    print(f"{script}:", " ".join(message.split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
