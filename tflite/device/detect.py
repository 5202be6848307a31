"""Find objects in images with a detector exported by cspkeras, or with another .tflite file.

This folder is all that a device needs, beside the model and the packages in requirements.txt (and OpenCV for videos):

    python detect.py detector.tflite photo.jpg holidays/ "frames/*.png" film.mp4 --output detections
    find . -name "*.jpg" | python detect.py detector.tflite - > found.jsonl

A file with settings says itself what its classes, its pixels and its boxes are. For others, or instead:

    --labels FILE                    class names, one a line
    --format ssd|yolox|yolov5|yolov8 what it returns, where its outputs do not tell: ssd ends in
                                     TFLite_Detection_PostProcess; yolox has raw boxes; yolov5 has decoded boxes,
                                     objectness and classes; yolov8 has decoded boxes and classes
    --mean 127.5 --scale 1/127.5     the network's input is (pixel - mean) * scale; or three of red, green and blue,
                                     such as 123.7,116.3,103.5. Not given: TFLite's metadata, or the format's habit

Or in a program:

    found = Detector("detector.tflite").detect(image)  # a uint8 RGB array -> {"boxes", "labels", "scores"}
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if __package__ or TYPE_CHECKING:
    from .command import load_network, make_parser, process_images, run_script
    from .decoding import Grid
    from .drawing import draw_detections
    from .formats import BACKGROUND, CHOICES, FORMATS, LETTERBOX, recognize
    from .frames import save, to_image
    from .network import THRESHOLDS, Network
    from .suppression import SUPPRESSIONS, suppress
else:  # as a script
    from command import load_network, make_parser, process_images, run_script
    from decoding import Grid
    from drawing import draw_detections
    from formats import BACKGROUND, CHOICES, FORMATS, LETTERBOX, recognize
    from frames import save, to_image
    from network import THRESHOLDS, Network
    from suppression import SUPPRESSIONS, suppress


class Detector(Network):
    """A detector in a .tflite file.

    Example:
        >>> detector = Detector("detector.tflite", threads=2)  # doctest: +SKIP
        >>> found = detector.detect(np.asarray(Image.open("photo.jpg").convert("RGB")))  # doctest: +SKIP
        >>> [detector.labels[label] for label in found["labels"]]  # doctest: +SKIP
        ['RBC', 'RBC', 'WBC']
    """

    ACCEPTED = dict(
        task=["detection"],
        format=[1],
        boxes=["cyxhw", "raw"],
        colors=["RGB", "BGR", "gray"],
        resize=["letterbox", "stretch", "topleft"],
    )
    NEEDED = THRESHOLDS

    def __init__(self, path, *args, format: str | None = None, **options):
        """Load a file as a `Network` does.

        Args:
            path: the .tflite file.
            args: as `Network` has them.
            format: of the outputs of a file without settings: "ssd", "yolox", "yolov5" or "yolov8"; None: as they look.
            options: as `Network` has them.
        """
        if format not in (None, *CHOICES):
            raise ValueError(f"format must be one of {', '.join(CHOICES)}. Received: {format!r}")
        self._asked, self._detections, self._counted = format, None, 0
        super().__init__(path, *args, **options)
        if format not in (None, self.settings["boxes"]):
            raise ValueError(f"{path}: its settings say boxes: {self.settings['boxes']}; leave out --format {format}")

    def _guess(self, contents, size):
        name, self._counted = recognize(contents, size, self._asked)
        if not self._asked and name in CHOICES:
            self.notes.append(f"{self._path}: read as --format {name}")
        self._detections, about = contents.detections, FORMATS[name].settings
        settings = {"score_threshold": 0.25, "iou_threshold": 0.5, **about, "boxes": name}
        return {**settings, "input": {**LETTERBOX, **about.get("input", {})}}, self._counted

    def _take_outputs(self, outputs):
        if self._detections:
            by_index = {tensor["index"]: tensor for tensor in outputs.values()}
            names = ("boxes", "classes", "scores", "count")
            self._outputs = {name: by_index[self._detections[i]] for i, name in enumerate(names)}
            return self._fit_labels(self._counted)
        try:
            cells = self._grid and len(self._grid.origins)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise ValueError(f"its setting decode is damaged: {type(error).__name__}: {error}") from error
        if cells is None and self.settings["boxes"] == "raw":
            raise ValueError("its settings say boxes: raw, and lack decode")
        self._outputs, shapes = outputs, {name: tuple(t["shape"].tolist()) for name, t in outputs.items()}
        classes = FORMATS[self.settings["boxes"]].classes(shapes, 0)
        if classes and self.settings["boxes"] == "raw":
            classes -= self._grid.coding.objectness
        if not classes:
            about = FORMATS[self.settings["boxes"]].about
            raise ValueError(f"needs {about}. Found: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")
        boxes = shapes.get("boxes", [*shapes.values()][0])[1]
        if cells not in (None, boxes):
            raise ValueError(f"its outputs have {boxes} boxes, by its settings they have {cells}")
        return classes

    def _fit_labels(self, classes):
        """Match the labels to a TFLite_Detection_PostProcess, which gives classes without the background."""
        if len(self.labels) == classes and self.labels[0].lower() in BACKGROUND:
            self.notes.append(f"{self._path}: the first label, {self.labels[0]}, is left out: it is not an object")
            del self.labels[0]
        if len(self.labels) == classes - 1:
            self.labels.append(f"class {classes}")  # in case it counts no background
        return classes

    def detect(
        self,
        image: np.ndarray | tuple,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        suppression: str = "greedy",
        class_agnostic: bool = False,
    ) -> dict[str, np.ndarray]:
        """Find the objects in an image.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size; or what `prepare` made of it.
            score_threshold: only better scores count, 0..1. None: the file's own.
            iou_threshold: boxes of one class that overlap more are one object, 0..1. None: the file's own.
            suppression: "greedy", "diou" or "soft" (has no iou_threshold); see `suppress`.
            class_agnostic: whether boxes of other classes suppress, too.

        Returns:
            A dict, best object first: "boxes" (N, 4) float32, x1, y1, x2, y2 in the image's pixels, clipped
            to the image (a box outside it is dropped); "labels" (N,) int; "scores" (N,) float32.

        Raises:
            ValueError: an argument is not as described.
        """
        score_threshold = self.settings["score_threshold"] if score_threshold is None else score_threshold
        iou_threshold = self.settings["iou_threshold"] if iou_threshold is None else iou_threshold
        if not (0 <= score_threshold <= 1 and 0 <= iou_threshold <= 1):
            raise ValueError(f"thresholds go from 0 to 1. Received: {score_threshold}, {iou_threshold}")
        if suppression not in SUPPRESSIONS:
            raise ValueError(f"suppression must be one of {', '.join(SUPPRESSIONS)}. Received: {suppression!r}")

        def read(image_size):
            tensors = self._outputs, self._raw, self._grid, self._size
            boxes, labels, scores = FORMATS[self.settings["boxes"]].read(*tensors, score_threshold)
            options = score_threshold, suppression, class_agnostic
            kept, scores = suppress(boxes, labels, scores, iou_threshold, *options)
            boxes = to_image(boxes[kept], image_size, self._size, self.settings["input"]["resize"])
            within = np.logical_and.reduce(boxes[:, 2:] > boxes[:, :2], axis=1)
            return {"boxes": boxes[within], "labels": labels[kept[within]], "scores": scores[within]}

        return self._run(image, read)

    @functools.cached_property
    def _grid(self):
        decode = self.settings.get("decode")
        return decode and Grid.of(decode, self._size)


def detect_files(options):
    """Do what the command line asks: write annotated images and the list of detections, print a line for each image."""
    detector = load_network(options, Detector, lambda made, image: made.detect(image), format=options.format)
    output, taken = options.output, set()

    def answer(values, image, name, number):
        found = detector.detect(values, options.score, options.iou, options.nms, options.class_agnostic)
        names = [detector.labels[label] for label in found["labels"]]
        scores, boxes = (found[key].astype(float).round(4).tolist() for key in ("scores", "boxes"))
        objects = [{"label": names[i], "score": scores[i], "box": boxes[i]} for i in range(len(names))]
        if "-" not in options.images and (number is None or options.draw_frames):
            drawn = Image.fromarray(image)
            draw_detections(drawn, found, detector.labels)
            save_drawn(drawn, name, number, output, taken)
        listed = ", ".join(f"{names[i]} {scores[i]:.2f}" for i in range(min(4, len(names))))
        listed = f" ({listed}{', ...' * (len(names) > 4)})" if names else ""
        return {"detections": objects}, f"{len(names)} object{'s' * (len(names) != 1)}{listed}"

    process_images(options, detector, answer, options.json or output / "detections.json", output)


def save_drawn(drawn, name, number, output, taken):
    """Save an annotated image or frame; what is found in it shall not be lost because that fails."""
    try:
        save(drawn, Path(name if number is None else f"{Path(name).stem}-{number:06}.jpg"), output, taken)
    except OSError as error:
        print(f"{name}: not drawn: {error.strerror or error}", file=sys.stderr)


def command_parser():
    """Make the parser of this script's command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--format", choices=CHOICES, help="what MODEL returns, if it has no settings [as it looks]")
    parser.add_argument("--output", type=Path, default="detections", help="folder of annotated images [%(default)s]")
    parser.add_argument("--score", type=float, help="only better scores count, 0..1 [the file's own]")
    parser.add_argument("--iou", type=float, help="overlap that suppresses, 0..1 [the file's own]")
    parser.add_argument("--nms", default="greedy", choices=SUPPRESSIONS, help="kind of suppression [%(default)s]")
    parser.add_argument("--class-agnostic", action="store_true", help="let boxes of other classes suppress, too")
    parser.add_argument("--draw-frames", action="store_true", help="annotate a video's frames, too")
    parser.add_argument("--json", type=Path, help="file of the detections [OUTPUT/detections.json]")
    return parser


def main(arguments=None):
    """Run the command line; return the exit status."""
    return run_script("detect.py", detect_files, command_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
