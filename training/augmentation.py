"""Augmentation with albumentations, boxes carried along."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask the network for news

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from ..detection.pictures import FILL  # noqa: E402

SMALLEST = 0.3  # a box of which a random crop leaves less is dropped; of a mosaic every part stays


class Augmentation:
    """The training augmentation of a detector; any number of threads may call it.

    Args:
        size: (height, width) of the result in pixels.
        mosaic: probability that four pictures are joined in one; whoever calls decides by it how many to give.
        crop: probability of a random crop of 30 to 100 % of the area; otherwise the picture is letterboxed.
        flip: probability of mirroring left and right.
        color: probability of a change in brightness, contrast, saturation and hue.
    """

    def __init__(self, size, *, mosaic=0.5, crop=0.5, flip=0.5, color=0.5):
        self.mosaic = mosaic
        self._build = lambda: [_compose(size, joined, crop, flip, color) for joined in (False, True)]
        # A Compose is seeded for each picture, so no two threads may have the same. TensorFlow's threads are new to
        # Python at each call, which makes threading.local of no use.
        self._idle = [self._build()]

    def __call__(self, seed, pictures):
        """Augment a picture, reproducibly.

        Args:
            seed: a non-negative integer.
            pictures: one (image, boxes, labels), or four to be joined; boxes in pixels.

        Returns:
            (image, boxes, labels), boxes in pixels of the result.
        """
        try:
            composes = self._idle.pop()
        except IndexError:
            composes = self._build()
        compose = composes[len(pictures) > 1]
        compose.set_random_seed(seed)
        first, *others = (dict(image=i, bboxes=b, labels=c) for i, b, c in pictures)
        out = compose(**first, mosaic_metadata=others)
        self._idle.append(composes)
        boxes = np.asarray(out["bboxes"], "float32").reshape(-1, 4)
        return out["image"], boxes, np.asarray(out["labels"], "int64").reshape(-1)


def _compose(size, joined, crop, flip, color):
    height, width = size
    # Each picture covers a cell of the result's size, of which the result shows a part.
    mosaic = A.Mosaic(target_size=size, cell_shape=size, fit_mode="cover", fill=FILL, p=float(joined))
    letterbox = A.Sequential(
        [
            A.LongestMaxSize(max_size_hw=size, interpolation=cv2.INTER_AREA),
            A.PadIfNeeded(height, width, border_mode=cv2.BORDER_CONSTANT, fill=FILL),
        ]
    )
    cropped = A.RandomResizedCrop(size, scale=(0.3, 1.0), ratio=(0.75 * width / height, 1.333 * width / height))
    jitter = dict(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.5, 1.5), hue=(-0.05, 0.05))
    return A.Compose(
        [mosaic, A.OneOrOther(cropped, letterbox, p=crop), A.HorizontalFlip(p=flip), A.ColorJitter(**jitter, p=color)],
        bbox_params=A.BboxParams(
            format="pascal_voc",
            label_fields=["labels"],
            min_visibility=SMALLEST,
            min_width=2,
            min_height=2,
            clip=True,
            filter_invalid_bboxes=True,
        ),
    )
