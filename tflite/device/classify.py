"""Classify images with a classifier exported by cspkeras.

This folder is all that a device needs, beside the model and the packages in requirements.txt (and OpenCV for videos):

    python classify.py classifier.tflite photo.jpg holidays/ "frames/*.png" film.mp4 --json classes.json
    find . -name "*.jpg" | python classify.py classifier.tflite - > classes.jsonl

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
    from .network import Network, dequantize
else:  # as a script
    from command import load_network, make_parser, process_images, run_script
    from network import Network, dequantize

TOP = 5  # classes


class Classifier(Network):
    """A classifier in a .tflite file.

    Example:
        >>> classifier = Classifier("classifier.tflite")  # doctest: +SKIP
        >>> classifier.classify(np.zeros((240, 320, 3), np.uint8), top=2)  # doctest: +SKIP
        [('night', 0.91), ('tunnel', 0.05)]
    """

    DEFAULTS = dict(input=dict(mean=0, scale=1 / 255, resize="crop", fill=0))
    ACCEPTED = dict(
        task=["classification"], format=[1], scores=[None, "probabilities", "logits"], colors=["RGB"], resize=["crop"]
    )

    def _take_outputs(self, path, outputs):
        if len(outputs) != 1:
            raise ValueError(f"{path}: needs one output, a score for each class. Found: {sorted(outputs)}")
        (self._scores,) = outputs.values()

    def scores(self, image: np.ndarray | tuple) -> np.ndarray:
        """Return the classes' probabilities; for a file without settings, whatever its network returns.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size, of which the middle is taken; or what `prepare`
                made of it.

        Returns:
            (classes,) float32.

        Raises:
            ValueError: the image is not such an array.
        """
        return self._run(image, lambda image_size: self._probabilities())

    def classify(self, image: np.ndarray | tuple, top: int = TOP) -> list[tuple[str, float]]:
        """Return the likeliest classes of an image.

        Args:
            image: as in `scores`.
            top: how many.

        Returns:
            (label, score) pairs, best first.

        Raises:
            ValueError: `top` is below 1, or the image is not such an array.
        """
        if top < 1:
            raise ValueError(f"top must be at least 1. Received: {top}")
        scores = self.scores(image)
        return [(self.labels[i], float(scores[i])) for i in (-scores).argsort(kind="stable")[:top]]

    def _probabilities(self):
        scores = dequantize(self._raw(self._scores).copy(), self._scores)
        if self.settings.get("scores") != "logits":
            return scores
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()


def classify_files(options):
    """Do what the command line asks: print a line for each image, write the list of all."""
    classifier = load_network(options, Classifier, lambda made, image: made.classify(image, options.top))

    def answer(values, image, name, number):
        found = classifier.classify(values, options.top)
        text = ", ".join(f"{label} {score:.2f}" for label, score in found)
        return {"classes": [{"label": label, "score": round(score, 4)} for label, score in found]}, text

    process_images(options, classifier, answer, options.json)


def main(arguments=None):
    """Run the command line; return the exit status."""
    parser = make_parser(__doc__)
    parser.add_argument("--top", type=int, default=TOP, help="number of classes for each image [%(default)s]")
    parser.add_argument("--json", type=Path, help="file of all images' classes [none]")
    return run_script("classify.py", classify_files, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
