"""Augmentation with albumentations, boxes carried along."""

import albumentations as A
import cv2
import numpy as np

from ..detection.pictures import FILL

SMALLEST = 0.3  # a box of which less remains after a crop is dropped


def build(size, *, mosaic=0.5, crop=0.5, flip=0.5, color=0.5):
    """The training augmentation of a detector.

    Args:
        size: (height, width) of the result in pixels.
        mosaic: probability that four pictures are joined in one.
        crop: probability of a random crop of 30 to 100 % of the area; otherwise the picture is letterboxed.
        flip: probability of mirroring left and right.
        color: probability of a change in brightness, contrast, saturation and hue.

    Returns:
        An `albumentations.Compose`; call `apply` with it.
    """
    height, width = size
    letterbox = A.Sequential(
        [
            A.LongestMaxSize(max_size_hw=size, interpolation=cv2.INTER_AREA),
            A.PadIfNeeded(height, width, border_mode=cv2.BORDER_CONSTANT, fill=FILL),
        ]
    )
    cropped = A.RandomResizedCrop(size, scale=(0.3, 1.0), ratio=(0.75 * width / height, 1.333 * width / height))
    return A.Compose(
        [
            A.Mosaic(target_size=size, fit_mode="cover", fill=FILL, p=mosaic),
            A.OneOrOther(cropped, letterbox, p=crop),
            A.HorizontalFlip(p=flip),
            A.ColorJitter(
                brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.5, 1.5), hue=(-0.05, 0.05), p=color
            ),
        ],
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


def apply(compose, seed, picture, others):
    """Augment one picture, reproducibly.

    Args:
        compose: from `build`. Not shared between threads: it is seeded here.
        seed: a non-negative integer.
        picture: (image, boxes, labels).
        others: three or more pictures of the same form that a mosaic may take.

    Returns:
        (image, boxes, labels), boxes in pixels of the result.
    """
    compose.set_random_seed(seed)
    image, boxes, labels = picture
    metadata = [dict(image=i, bboxes=b, labels=c) for i, b, c in others]
    out = compose(image=image, bboxes=boxes, labels=labels, mosaic_metadata=metadata)
    boxes = np.asarray(out["bboxes"], "float32").reshape(-1, 4)
    return out["image"], boxes, np.asarray(out["labels"], "int64").reshape(-1)
