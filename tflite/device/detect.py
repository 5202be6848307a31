"""Find objects in images with a detector exported by cspkeras.

This folder is all that a device needs, beside the model and the packages in requirements.txt (and OpenCV for videos):

    python detect.py detector.tflite photo.jpg holidays/ "frames/*.png" film.mp4 --output detections
    find . -name "*.jpg" | python detect.py detector.tflite - > found.jsonl

Or in a program:

    found = Detector("detector.tflite").detect(image)  # a uint8 RGB array -> {"boxes", "labels", "scores"}
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if __package__ or TYPE_CHECKING:
    from .command import load_network, make_parser, process_images, run_script
    from .drawing import draw_detections
    from .frames import save, to_image
    from .network import Network, dequantize
    from .suppression import SUPPRESSIONS, suppress
else:  # as a script
    from command import load_network, make_parser, process_images, run_script
    from drawing import draw_detections
    from frames import save, to_image
    from network import Network, dequantize
    from suppression import SUPPRESSIONS, suppress

CANDIDATES = 1000  # the best (box, class) pairs, those that suppression sees
# From a box's centre y, centre x, height, width to its corners x1, y1, x2, y2.
CENTRES, SIZES, HALVES = np.array([1, 0, 1, 0]), np.array([3, 2, 3, 2]), np.array([-0.5, -0.5, 0.5, 0.5], np.float32)


class Detector(Network):
    """A detector in a .tflite file.

    Example:
        >>> detector = Detector("detector.tflite", threads=2)  # doctest: +SKIP
        >>> found = detector.detect(np.asarray(Image.open("photo.jpg").convert("RGB")))  # doctest: +SKIP
        >>> [detector.labels[label] for label in found["labels"]]  # doctest: +SKIP
        ['RBC', 'RBC', 'WBC']
    """

    DEFAULTS = dict(
        score_threshold=0.25, iou_threshold=0.5, input=dict(mean=0, scale=1 / 255, resize="letterbox", fill=114)
    )
    ACCEPTED = dict(task=["detection"], format=[1], boxes=["cyxhw"], colors=["RGB"], resize=["letterbox", "stretch"])

    def _take_outputs(self, path, outputs):
        if not outputs.keys() >= {"boxes", "scores"}:
            raise ValueError(f"{path}: needs the outputs 'boxes' and 'scores'. Found: {sorted(outputs)}")
        self._boxes, self._scores = outputs["boxes"], outputs["scores"]

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


def detect_files(options):
    """Do what the command line asks: write annotated images and the list of detections, print a line for each image."""
    detector = load_network(options, Detector, lambda made, image: made.detect(image))
    output, taken = options.output, set()

    def answer(values, image, name, number):
        found = detector.detect(values, options.score, options.iou, options.nms, options.class_agnostic)
        names = [detector.labels[label] for label in found["labels"]]
        scores, boxes = (found[key].astype(float).round(4).tolist() for key in ("scores", "boxes"))
        objects = [{"label": names[i], "score": scores[i], "box": boxes[i]} for i in range(len(names))]
        if "-" not in options.images and (number is None or options.draw_frames):
            drawn = Image.fromarray(image)
            draw_detections(drawn, found, detector.labels)
            save(drawn, Path(name if number is None else f"{Path(name).stem}-{number:06}.jpg"), output, taken)
        listed = ", ".join(f"{names[i]} {scores[i]:.2f}" for i in range(min(4, len(names))))
        listed = f" ({listed}{', ...' * (len(names) > 4)})" if names else ""
        return {"detections": objects}, f"{len(names)} object{'s' * (len(names) != 1)}{listed}"

    process_images(options, detector, answer, options.json or output / "detections.json", output)


def main(arguments=None):
    """Run the command line; return the exit status."""
    parser = make_parser(__doc__)
    parser.add_argument("--output", type=Path, default="detections", help="folder of annotated images [%(default)s]")
    parser.add_argument("--score", type=float, help="only better scores count, 0..1 [the file's own]")
    parser.add_argument("--iou", type=float, help="overlap that suppresses, 0..1 [the file's own]")
    parser.add_argument("--nms", default="greedy", choices=SUPPRESSIONS, help="kind of suppression [%(default)s]")
    parser.add_argument("--class-agnostic", action="store_true", help="let boxes of other classes suppress, too")
    parser.add_argument("--draw-frames", action="store_true", help="annotate a video's frames, too")
    parser.add_argument("--json", type=Path, help="file of the detections [OUTPUT/detections.json]")
    return run_script("detect.py", detect_files, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
