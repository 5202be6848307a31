"""Scale jitter: an image at a random scale, of which a random part of the input's size is cut."""

import cv2
import numpy as np

from ...detection.images import FILL


def jittered(rng, image, shape, factor):
    """Scale an image and cut a random part of it; where it is smaller it lies at a random place on grey.

    Args:
        rng: a random generator, of the place.
        image: (pixels (h, w, 3) uint8, boxes (N, 4) in these pixels, labels (N,)).
        shape: (height, width) of the result.
        factor: by which the image is scaled.

    Returns:
        (pixels, boxes, labels) of the result, and the part (N,) of each box that it shows, 0 to 1.
    """
    (pixels, boxes, labels), (height, width) = image, shape
    whole = np.array(pixels.shape[1::-1])
    room = (width, height) - whole * factor
    shift = rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    if factor < 1:  # here, since the next step leaves out pixels
        size = np.maximum(1, np.rint(whole * factor).astype(int)).tolist()
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    scale = whole * factor / pixels.shape[1::-1]
    # OpenCV counts from the middle of a pixel.
    matrix = np.column_stack([np.diag(scale), shift + scale / 2 - 0.5])
    pixels = cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=(FILL,) * 3)
    boxes = boxes * factor + np.tile(shift, 2)
    cut = np.clip(boxes, 0, (width, height) * 2)
    shown = _area(cut) / np.maximum(_area(boxes), 1e-9)
    return (pixels, cut.astype("float32"), labels), shown


def _area(boxes):
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
