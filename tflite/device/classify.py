"""Classify images with a classifier exported by cspkeras, or with another .tflite file.

This folder is all that a device needs, beside the model and the packages in requirements.txt (and OpenCV for videos):

    python classify.py classifier.tflite photo.jpg holidays/ "frames/*.png" film.mp4 --json classes.json
    find . -name "*.jpg" | python classify.py classifier.tflite - > classes.jsonl

A file with settings says itself what its classes, its pixels and its scores are. For others, or instead:

    --labels FILE                    class names, one a line
    --mean 127.5 --scale 1/127.5     the network's input is (pixel - mean) * scale; or three of red, green and blue,
                                     such as 123.7,116.3,103.5. Not given: TFLite's metadata, or 0..1
    --scores softmax|sigmoid|logits  what it returns: probabilities of which one is right, each for itself, or neither
    --threshold 0.5                  with sigmoids, the labels that are better are printed, or "none", in place of the
                                     --top 5

Or in a program:

    found = Classifier("classifier.tflite").classify(image)  # a uint8 RGB array -> [(label, score), ...]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if __package__ or TYPE_CHECKING:
    from .command import load_network, make_parser, process_images, run_script
    from .decoding import dequantize
    from .network import Network
else:  # as a script
    from command import load_network, make_parser, process_images, run_script
    from decoding import dequantize
    from network import Network

TOP = 5  # classes
THRESHOLD = 0.5  # of independent labels
SCORES = ("softmax", "sigmoid", "logits")


class Classifier(Network):
    """A classifier in a .tflite file.

    Example:
        >>> classifier = Classifier("classifier.tflite")  # doctest: +SKIP
        >>> classifier.classify(np.zeros((240, 320, 3), np.uint8), top=2)  # doctest: +SKIP
        [('night', 0.91), ('tunnel', 0.05)]
    """

    ACCEPTED = dict(
        task=["classification"],
        format=[1],
        scores=[None, "probabilities", *SCORES],
        colors=["RGB", "BGR", "gray"],
        resize=["crop", "stretch"],
    )

    def __init__(self, path, *args, scores: str | None = None, **options):
        """Load a file as a `Network` does.

        Args:
            path: the .tflite file.
            args: as `Network` has them.
            scores: what the network returns: "softmax", "sigmoid" (independent labels) or "logits"; None: what the
                file says.
            options: as `Network` has them.
        """
        if scores not in (None, *SCORES):
            raise ValueError(f"scores must be one of {', '.join(SCORES)}. Received: {scores!r}")
        super().__init__(path, *args, **options)
        self.settings["scores"] = scores or self.settings.get("scores")
        if self.settings["scores"] is None:
            self.notes.append(f"{path}: does not say what its scores are, printed as they are: give --scores")
        elif len(self.labels) == 1 and not self.independent:
            self.notes.append(f"{path}: a single class is always the likeliest; if it is a yes or no: --scores sigmoid")

    @property
    def independent(self) -> bool:
        """Whether an image may have several of the labels, or none."""
        return self.settings["scores"] == "sigmoid"

    def _guess(self, contents, size):
        if len(contents.outputs) != 1 or (classes := _classes(contents.outputs[0].shape)) < 1:
            found = ", ".join(map(str, contents.outputs))
            raise ValueError(f"needs one output, a score for each class. Found: {found}")
        return dict(scores=contents.scores, input=dict(colors="RGB", resize="crop", fill=0)), classes

    def _take_outputs(self, outputs):
        self._scores, *others = outputs.values()
        if others or (classes := _classes(self._scores["shape"])) < 1:
            raise ValueError(f"needs one output, a score for each class. Found: {sorted(outputs)}")
        return classes

    def scores(self, image: np.ndarray | tuple) -> np.ndarray:
        """Return the classes' scores: probabilities, unless the file does not say what its network returns.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size, of which the middle is taken; or what `prepare`
                made of it.

        Returns:
            (classes,) float32.

        Raises:
            ValueError: the image is not such an array, or the network does not run.
        """
        return self._run(image, lambda image_size: self._probabilities())

    def classify(
        self, image: np.ndarray | tuple, top: int | None = None, threshold: float | None = None
    ) -> list[tuple[str, float]]:
        """Return the likeliest classes of an image; of independent labels those that it has.

        Args:
            image: as in `scores`.
            top: how many at most. None: 5, or all of independent labels.
            threshold: only better scores count. None: 0.5, or the file's own, for independent labels, else all.

        Returns:
            (label, score) pairs, best first; none if no score is better.

        Raises:
            ValueError: `top` is below 1, or the image is not such an array.
            FloatingPointError: the network returns no numbers.
        """
        if top is not None and top < 1:
            raise ValueError(f"top must be at least 1. Received: {top}")
        if self.independent:
            threshold = self.settings.get("score_threshold", THRESHOLD) if threshold is None else threshold
        else:
            top = TOP if top is None else top
        scores = self.scores(image)
        if np.isnan(scores).any():
            raise FloatingPointError("the network's scores are NaN")
        order = (-scores).argsort(kind="stable")[:top]
        return [(self.labels[i], float(scores[i])) for i in order if threshold is None or scores[i] > threshold]

    def _probabilities(self):
        scores = dequantize(self._raw(self._scores).copy(), self._scores).reshape(-1)
        if self.settings["scores"] != "logits":
            return scores
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()


def _classes(shape):
    """The number of classes of scores (N, C), (N, 1, 1, C) or (N, C, 1, 1); 0 for other shapes."""
    sides = [int(side) for side in shape[1:] if side != 1]
    return 0 if len(shape) < 2 or len(sides) > 1 else sides[0] if sides else 1


def classify_files(options):
    """Do what the command line asks: print a line for each image, write the list of all."""

    def find(made, image):
        return made.classify(image, options.top, options.threshold)

    classifier = load_network(options, Classifier, find, scores=options.scores)

    def answer(values, image, name, number):
        found = find(classifier, values)
        text = ", ".join(f"{label} {score:.2f}" for label, score in found) or "none"
        return {"classes": [{"label": label, "score": round(score, 4)} for label, score in found]}, text

    process_images(options, classifier, answer, options.json)


def command_parser():
    """Make the parser of this script's command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--top", type=int, help=f"number of classes for each image [{TOP}; all of independent labels]")
    parser.add_argument("--scores", choices=SCORES, help="what the network returns [what MODEL says]")
    parser.add_argument("--threshold", type=float, help=f"only better scores count [{THRESHOLD} of independent labels]")
    parser.add_argument("--json", type=Path, help="file of all images' classes [none]")
    return parser


def main(arguments=None):
    """Run the command line; return the exit status."""
    return run_script("classify.py", classify_files, command_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
