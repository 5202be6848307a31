"""Convert images to RGB and to the network's input, and boxes back to the images."""

import numpy as np
from PIL import Image

FILL = 114  # grey of the letterbox, 0..255
CHANNELS = (1, 2, 3, 4)  # grey, grey and alpha, RGB, RGB and alpha


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


def to_rgb(image):
    """Convert an array of one image to (h, w, 3) uint8 RGB, as the device's script does with the same image in a file.

    Args:
        image: grey (h, w) or (h, w, 1), grey and alpha (h, w, 2), RGB (h, w, 3), RGB and alpha (h, w, 4); bool, uint8,
            uint16, or floats in 0..1. Transparent parts become white.

    Raises:
        ValueError: for an array of another shape or type, and for floats beyond 0..1.
    """
    shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if shape is None or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS)) or 0 in shape:
        raise ValueError(f"images must be arrays (h, w), (h, w, 3) or (h, w, 4). Received: {kind} of shape {shape}")
    image = np.asarray(image).reshape(*shape[:2], -1)
    if image.dtype.kind == "f":
        low, high = image.min(), image.max()
        if not (low >= -1 / 255 and high <= 1 + 1 / 255):  # so written, NaN is refused
            raise ValueError(f"images of floats must be in 0..1. Received: values from {low:g} to {high:g}")
    elif image.dtype not in (np.uint8, np.uint16, np.bool_):
        raise ValueError(f"images must be uint8, uint16 or floats in 0..1. Received: {kind}")
    if image.dtype != np.uint8:
        white = 65535 if image.dtype == np.uint16 else 1
        image = (image.astype("float32") / white * 255 + 0.5).clip(0, 255).astype("uint8")
    if image.shape[2] == 3:
        return image
    if image.shape[2] == 1:
        return image.repeat(3, axis=2)
    picture = Image.fromarray(image).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))
