"""A preview of what the network sees in training: augmented images with their objects or labels."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..data.contact_sheet import draw_objects, grid
from .batches import batches

GAP = 4  # pixels around each image
MAX_LABELS = 3  # written on a mixed image


def draw_preview(data, size, count=16, *, seed=0, augment=None, report=print):
    """Draw the first images of a training run, exactly those that the network gets, as a grid about as wide as high.

    The `count` of images is one batch where the data has as many, else several; the rest is as in `training_batches`.
    """
    batch_size = max(1, min(count, len(data.examples)))
    steps = -(-count // batch_size)
    dataset = batches(data, size, batch_size, seed=seed, augment=augment, workers=0, report=report)
    tiles, font = [], ImageFont.load_default(11)
    for images, targets in dataset.take(steps).as_numpy_iterator():
        for k, pixels in enumerate(images[: count - len(tiles)]):
            image = Image.fromarray(np.rint(pixels * 255).astype("uint8"))
            if isinstance(targets, dict):
                labels = targets["labels"][k]
                boxes, real = targets["boxes"][k] * (image.size * 2), labels >= 0
                draw_objects(image, boxes[real], labels[real], data.class_names)
            else:
                _draw_label(image, targets[k], data.class_names, font)
            tiles.append(image)
    return grid(tiles, int(np.ceil(np.sqrt(count * size[0] / size[1]))), GAP, "white")


def _draw_label(image, shares, names, font):
    best = np.argsort(-shares, kind="stable")[:MAX_LABELS]
    shown = [k for k in best if shares[k] > max(0.01, 1.01 * shares.min())] or best[:1]
    text = ", ".join(f"{names[k]} {shares[k]:.2f}" for k in shown)
    ImageDraw.Draw(image).text((2, 2), text, "white", font, stroke_width=1, stroke_fill="black")
