"""Classifies images with a classifier exported by cspkeras: what a device needs, with detect.py and frames.py.

Copy all three next to the model. They want what detect.py wants:

    python classify.py classifier.tflite photo.jpg holidays/ "frames/*.png" film.mp4 --json classes.json
    find . -name "*.jpg" | python classify.py classifier.tflite - > classes.jsonl

Or in a program:

    found = Classifier("classifier.tflite").classify(image)  # a uint8 RGB array -> [(label, score), ...]
"""

import sys
from pathlib import Path

import numpy as np

try:
    from .detect import Network, dequantize, go_through, make_parser, network_of, status_of
except ImportError:  # as a script
    from detect import Network, dequantize, go_through, make_parser, network_of, status_of

TOP = 5  # classes


class Classifier(Network):
    """A classifier in a .tflite file."""

    USUAL = dict(input=dict(mean=0, scale=1 / 255, resize="crop", fill=0))
    KNOWN = dict(
        task=["classification"], format=[1], scores=[None, "probabilities", "logits"], colors=["RGB"], resize=["crop"]
    )

    def _take_outputs(self, path, outputs):
        if len(outputs) != 1:
            raise ValueError(f"{path}: needs one output, a score a class. Found: {sorted(outputs)}")
        (self._scores,) = outputs.values()

    def scores(self, image):
        """The classes' probabilities, (classes,) float32; for a file without settings what its network gives.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size, whose middle is looked at; or what `prepare` made
                of it.
        """
        return self._run(image, lambda image_size: self._probabilities())

    def classify(self, image, top=TOP):
        """The likeliest classes of an image, (label, score) each, best first.

        Args:
            image: as `scores`.
            top: how many.
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
    """Does what the command line asks: a line an image, and the list of them all."""
    classifier = network_of(options, Classifier, lambda made, image: made.classify(image, options.top))

    def answer(values, picture, name, number):
        found = classifier.classify(values, options.top)
        shown = ", ".join(f"{label} {score:.2f}" for label, score in found)
        return {"classes": [{"label": label, "score": round(score, 4)} for label, score in found]}, shown

    go_through(options, classifier, answer, options.json)


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = make_parser(__doc__)
    parser.add_argument("--top", type=int, default=TOP, help="classes an image (%(default)s)")
    parser.add_argument("--json", type=Path, help="the file for all images' classes (else none)")
    return status_of("classify.py", classify_files, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
