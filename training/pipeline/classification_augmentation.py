"""Augmentation of a classifier's images as Darknet does it, with albumentations, labels mixed with the images."""

import albumentations as A
import cv2
import numpy as np

from .augmentation import BLUR, SeededComposes, check_probabilities
from .darknet_transforms import Distortion, RescaledCrop

ALPHA = 0.2  # of MixUp's beta distribution, as arXiv 1710.09412 has it for ImageNet


def _mosaic(rng, images):
    """Four images around a point, each where it was: Darknet's for classifiers."""
    height, width = images[0].shape[:2]
    x, y = (int(rng.integers(side // 4, side - side // 4 + 1)) for side in (width, height))
    image = images[0].copy()
    image[:y, x:], image[y:, :x], image[y:, x:] = images[1][:y, x:], images[2][y:, :x], images[3][y:, x:]
    shares = np.array([y * x, y * (width - x), (height - y) * x, (height - y) * (width - x)])
    return image, shares / (height * width)


def _cutmix(rng, images):
    """A rectangle of the image's shape, its area uniform, its centre anywhere."""
    height, width = images[0].shape[:2]
    half = np.sqrt(rng.random()) / 2
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    x1, x2 = (int(np.clip(round(x + s * half * width), 0, width)) for s in (-1, 1))
    y1, y2 = (int(np.clip(round(y + s * half * height), 0, height)) for s in (-1, 1))
    image = images[0].copy()
    image[y1:y2, x1:x2] = images[1][y1:y2, x1:x2]
    share = (y2 - y1) * (x2 - x1) / (height * width)
    return image, (1 - share, share)


def _mixup(rng, images):
    share = rng.beta(ALPHA, ALPHA)
    return cv2.addWeighted(images[0], 1 - share, images[1], share, 0), (1 - share, share)


def _alone(rng, images):
    return images[0], (1.0,)


# Number of images; function of a generator and these that returns (image, each one's share of the label).
MIXTURES = {"mosaic": (4, _mosaic), "cutmix": (2, _cutmix), "mixup": (2, _mixup), "alone": (1, _alone)}


class ClassificationAugmentation:
    """The training augmentation of a classifier; any number of threads may call it.

    The defaults are those of the paper's cfgs (`min_crop`, `max_crop`, `angle`, `hue`, `saturation`, `exposure`,
    `aspect`), and what they mean is Darknet's; its gamma and omega recipes add `cutmix`, `mosaic` and
    `label_smoothing=0.1`.

    Args:
        size: (height, width) of the result in pixels.
        classes: number of classes.
        rescale: (least, most) pixels that the image's shorter side is rescaled to; a random window of `size` is taken
            of it, black where the image is smaller. None for 0.5 and 1.75 times the size: 128 to 448 for 256.
        angle: most degrees by which the image is turned.
        hue: largest turn of the hue, in parts of the colour circle.
        saturation, exposure, aspect: largest factors by which they change, or their inverse; 1 for no change.
        flip: probability of mirroring left and right.
        blur: probability of a Gaussian blur of 0.5 to 2 pixels.
        mosaic: probability that four images meet in a random point; their labels are mixed by area.
        cutmix: probability that a random rectangle shows another image, labels by area (arXiv 1905.04899).
        mixup: probability that another image is blended in, labels by its share (arXiv 1710.09412).
        label_smoothing: the part of each label that is spread evenly over all classes.

    Raises:
        ValueError: for a value out of range, and for mixtures whose probabilities exceed 1 together.
    """

    def __init__(
        self,
        size,
        classes,
        *,
        rescale=None,
        angle=7.0,
        hue=0.1,
        saturation=0.75,
        exposure=0.75,
        aspect=0.75,
        flip=0.5,
        blur=0.0,
        mosaic=0.0,
        cutmix=0.0,
        mixup=0.0,
        label_smoothing=0.0,
    ):
        shorter = tuple(rescale or (round(0.5 * min(size)), round(1.75 * min(size))))
        if not (len(shorter) == 2 and 1 <= shorter[0] <= shorter[1]):
            raise ValueError(f"rescale must be two lengths in pixels, least and most. Received: rescale={rescale}")
        for name, value in dict(saturation=saturation, exposure=exposure, aspect=aspect).items():
            if not value > 0:
                raise ValueError(f"{name} must be a factor above 0. Received: {name}={value}")
        chances = dict(mosaic=mosaic, cutmix=cutmix, mixup=mixup)
        check_probabilities(flip=flip, blur=blur, label_smoothing=label_smoothing, **chances)
        if (total := sum(chances.values())) > 1 + 1e-9:
            raise ValueError(
                f"mosaic, cutmix and mixup exclude each other. Received: probabilities of {total} together"
            )
        self.size, self.classes, self.rescale = tuple(size), classes, shorter
        self._smoothing, self._limits = label_smoothing, np.cumsum(list(chances.values()))

        def build(_):
            return A.Compose(
                [
                    RescaledCrop(self.size, angle, aspect),
                    A.HorizontalFlip(p=flip),
                    Distortion(hue, saturation, exposure),
                    A.GaussianBlur(**BLUR, p=blur),
                ]
            )

        self._composes = SeededComposes(build)

    def mixture(self, rng):
        """Draw how a result is mixed, one of `MIXTURES`: (its name, number of images)."""
        name = list(MIXTURES)[int(np.searchsorted(self._limits, rng.random(), side="right"))]
        return name, MIXTURES[name][0]

    def shorter(self, rng):
        """Draw the pixels of an image's shorter side."""
        return int(rng.integers(self.rescale[0], self.rescale[1] + 1))

    def __call__(self, rng, images, mixture="alone"):
        """Augment images, each (image, its `shorter`, label), as many as the mixture takes, reproducibly to one.

        The result is a (height, width, 3) uint8 image and a (classes,) float32 label.
        """
        transformed = [
            self._composes(None, int(rng.integers(2**31)), image=image, shorter=shorter)["image"]
            for image, shorter, _ in images
        ]
        image, shares = MIXTURES[mixture][1](rng, transformed)
        label = np.full(self.classes, self._smoothing / self.classes)
        np.add.at(label, [label for *_, label in images], (1 - self._smoothing) * np.asarray(shares))
        return image, label.astype("float32")
