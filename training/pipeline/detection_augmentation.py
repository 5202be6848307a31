"""Augmentation of a detector's images with albumentations, boxes carried along."""

from numbers import Real

import albumentations as A
import cv2
import numpy as np

from ...detection.anchors import STRIDES
from ...detection.images import FILL
from .augmentation import BLUR, SeededComposes, check_probabilities
from .mosaic import COUNT, cells, quarters
from .scale_jitter import jittered

MIN_VISIBLE = 0.3  # a box of which a random crop leaves a smaller part is dropped; of a mosaic every part stays


class Augmentation:
    """The training augmentation of a detector; any number of threads may call it.

    Args:
        size: (height, width) of the result in pixels.
        mosaic: probability that four images are joined in one.
        mixup: probability that a further image is mixed in, half and half, with the boxes of both, as YOLOX does.
        cached: 0 to draw these other images from all, each decoded anew; or a number N, to draw them from the N images
            just before this one, which are still in memory, as mmdetection's cached mosaic and MixUp do. MixUp then
            takes one of these as it was shown, also a mosaic, and mirrors it with the probability `flip`.
        crop: probability of a random crop of 30 to 100 % of the area; otherwise the image is letterboxed.
        scale: None, or (least, most): instead, the image is scaled to fit, times a random factor between these, and a
            random part of it is cut, or it lies at a random place on grey. The images of a mosaic, then of twice the
            size, each fit the input before the factor, as mmdetection has it.
        flip: probability of mirroring left and right.
        color: probability of a change in brightness, contrast, saturation and hue.
        blur: probability of a Gaussian blur of 0.5 to 2 pixels.
        multiscale: 1, or the factor by which `shape` goes up and down. Darknet (`random=1`, its factor 1.4) changes the
            network's input every ten batches. Ours has a fixed input, and fixed anchors on its grid: the images are
            augmented in the other shape, then padded with grey or cropped, at a random place, to `size`. Objects get
            the same sizes in pixels; of an image larger than the input a part is shown.

    Raises:
        ValueError: for a probability outside 0..1, and for a `cached`, `scale` or `multiscale` out of range.
    """

    def __init__(
        self,
        size,
        *,
        mosaic=0.5,
        mixup=0.0,
        cached=0,
        crop=0.5,
        scale=None,
        flip=0.5,
        color=0.5,
        blur=0.0,
        multiscale=1.0,
    ):
        check_probabilities(mosaic=mosaic, mixup=mixup, crop=crop, flip=flip, color=color, blur=blur)
        if type(cached) is not int or cached < 0:
            raise ValueError(f"cached must be a number of images, 0 for none. Received: cached={cached}")
        if scale is not None and not _is_range(scale, 0.05, 20):
            raise ValueError(f"scale must be two factors of 0.05 to 20, least and most. Received: scale={scale}")
        if not 1 <= multiscale < 8:
            raise ValueError(f"multiscale must be from 1 to 8. Received: multiscale={multiscale}")
        self.size, self.mosaic, self.mixup, self.multiscale = tuple(size), mosaic, mixup, multiscale
        self.cached = cached if mosaic or mixup else 0  # nothing is kept in memory that nothing takes
        self.scale, self.flip = scale, flip
        crop = None if scale else crop
        self._composes = SeededComposes(lambda shape: _compose(self.size, shape, crop, flip, color, blur))

    @property
    def most(self):
        """The largest number of images that one result shows."""
        one = COUNT if self.mosaic else 1
        return one + ((one if self.cached else 1) if self.mixup else 0)

    def others(self, rng):
        """Draw whether a result is made of a mosaic, and whether another image is mixed in; two truth values."""
        return rng.random() < self.mosaic, rng.random() < self.mixup

    def shape(self, rng):
        """Draw a (height, width): `size` by a factor within `multiscale`, in multiples of the coarsest stride."""
        if self.multiscale == 1:
            return self.size
        scale, stride = rng.uniform(1 / self.multiscale, self.multiscale), STRIDES[-1]
        return tuple(max(stride, round(side * scale / stride) * stride) for side in self.size)

    def parts(self, rng, shape):
        """Draw the four parts of a mosaic, see `mosaic`; `shape` is what the method `shape` returns."""
        return (quarters if self.scale else cells)(rng, shape)

    def __call__(self, seed, image, mixed=None, shape=None, joined=False):
        """Augment an image or a mosaic, (image, boxes, labels), reproducibly; return the same, boxes in its pixels.

        `mixed` is another such image to mix in, `shape` what the method `shape` returns, None for `size`; `joined` says
        whether the image is a mosaic.
        """
        shape = shape or self.size
        image = self._transformed(seed, image, shape, joined)
        return image if mixed is None else self.blend(image, self._transformed(seed + 1, mixed, shape))

    def blend(self, image, other, mirrored=False):
        """Mix two results half and half, the second one mirrored or not."""
        (pixels, boxes, labels), (others, other_boxes, other_labels) = image, other
        if mirrored:
            others = cv2.flip(others, 1)
            other_boxes = np.float32([self.size[1], 0] * 2) + other_boxes[:, [2, 1, 0, 3]] * np.float32([-1, 1] * 2)
        pixels = cv2.addWeighted(pixels, 0.5, others, 0.5, 0)
        return pixels, np.concatenate([boxes, other_boxes]), np.concatenate([labels, other_labels])

    def _transformed(self, seed, image, shape, joined=False):
        if self.scale:
            rng = np.random.default_rng([seed, 0])
            fit = 1 if joined else min(np.divide(shape, image[0].shape[:2]))
            (pixels, boxes, labels), shown = jittered(rng, image, shape, fit * rng.uniform(*self.scale))
            image = pixels, boxes[shown >= MIN_VISIBLE], labels[shown >= MIN_VISIBLE]
        pixels, boxes, labels = image
        out = self._composes(shape, seed, image=pixels, bboxes=boxes, labels=labels)
        boxes = np.asarray(out["bboxes"], "float32").reshape(-1, 4)
        return out["image"], boxes, np.asarray(out["labels"], "int64").reshape(-1)


def _is_range(values, least, most):
    """Return whether `values` are two numbers, the first of which is not the larger one, in least..most."""
    numbers = isinstance(values, (list, tuple)) and all(isinstance(value, Real) for value in values)
    return numbers and len(values) == 2 and least <= values[0] <= values[1] <= most


def _compose(size, shape, crop, flip, color, blur):
    height, width = shape
    letterbox = A.Sequential(
        [
            A.LongestMaxSize(max_size_hw=shape, interpolation=cv2.INTER_AREA),
            A.PadIfNeeded(height, width, border_mode=cv2.BORDER_CONSTANT, fill=FILL),
        ]
    )
    cropped = A.RandomResizedCrop(shape, scale=(0.3, 1.0), ratio=(0.75 * width / height, 1.333 * width / height))
    jitter = dict(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.5, 1.5), hue=(-0.05, 0.05))
    transforms = [A.HorizontalFlip(p=flip), A.ColorJitter(**jitter, p=color), A.GaussianBlur(**BLUR, p=blur)]
    if crop is not None:  # else it has the shape already
        transforms.insert(0, A.OneOrOther(cropped, letterbox, p=crop))
    if shape != size:
        transforms += [
            A.PadIfNeeded(*size, position="random", border_mode=cv2.BORDER_CONSTANT, fill=FILL),
            A.RandomCrop(*size),
        ]
    boxes = dict(min_visibility=MIN_VISIBLE, min_width=2, min_height=2, clip=True, filter_invalid_bboxes=True)
    return A.Compose(transforms, bbox_params=A.BboxParams(format="pascal_voc", label_fields=["labels"], **boxes))
