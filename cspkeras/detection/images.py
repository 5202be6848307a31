"""Convert images to the network's input and boxes back to the images."""

import numpy as np
from PIL import Image

FILL = 114  # grey of the letterbox, 0..255


def letterbox(image, size):
    """Resize an (h, w, 3) uint8 image into the network's input (height, width) and pad it with grey, undistorted.

    Return that and the image's placement in it: (left, top, scale x, scale y).
    """
    (height, width), (h, w) = size, image.shape[:2]
    scale = min(height / h, width / w)
    new_h, new_w = max(1, int(h * scale + 0.5)), max(1, int(w * scale + 0.5))
    left, top = (width - new_w) // 2, (height - new_h) // 2
    canvas = np.full((height, width, 3), FILL, "uint8")
    resized = Image.fromarray(image).resize((new_w, new_h), Image.Resampling.BILINEAR)
    canvas[top : top + new_h, left : left + new_w] = np.asarray(resized)
    return canvas, (left, top, new_w / w, new_h / h)


def to_image(boxes, placement, shape):
    """Convert boxes (N, 4) x1, y1, x2, y2 from the input's pixels to the image's, clipped to its (h, w)."""
    left, top, scale_x, scale_y = placement
    boxes = (boxes - np.float32([left, top, left, top])) / np.float32([scale_x, scale_y] * 2)
    return np.clip(boxes, 0, np.float32([shape[1], shape[0]] * 2))


def check_image(image):
    """Raise a ValueError unless `image` is an (h, w, 3) uint8 array."""
    shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if kind != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ValueError(f"images must be uint8 RGB arrays (height, width, 3). Received: {kind} of shape {shape}")
