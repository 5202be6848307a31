"""A sheet of what the network sees in training: augmented pictures with their objects or labels."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..tflite.detect import class_color
from .service import batches

GAP = 4  # pixels around each picture
NAMED = 3  # labels of a mixed picture that are told


def sheet(data, size, count=16, *, seed=0, start_step=0, augment=None, report=print):
    """Draw the first pictures of a training run, exactly those that the network gets.

    Args:
        data: `DetectionData` or `ClassificationData`.
        size, seed, start_step, augment, report: as `training_batches` and `classification_batches`.
        count: pictures on the sheet, at least 1; they are one batch where the data has as many, else several.

    Returns:
        `PIL.Image.Image`, a grid about as wide as high.

    Raises:
        ValueError: as `training_batches`.
    """
    batch_size = max(1, min(count, len(data.examples)))
    steps = -(-count // batch_size)
    dataset = batches(data, size, batch_size, seed=seed, start_step=start_step, augment=augment, report=report)
    columns = int(np.ceil(np.sqrt(count * size[0] / size[1])))
    rows = -(-count // columns)
    canvas = Image.new("RGB", (columns * (size[1] + GAP) + GAP, rows * (size[0] + GAP) + GAP), "white")
    place = 0
    for images, targets in dataset.take(steps).as_numpy_iterator():
        for k, pixels in enumerate(images[: count - place]):
            picture = Image.fromarray(np.rint(pixels * 255).astype("uint8"))
            if isinstance(targets, dict):
                _draw_objects(picture, targets["boxes"][k], targets["labels"][k], data.class_names)
            else:
                _draw_label(picture, targets[k], data.class_names)
            row, column = divmod(place, columns)
            canvas.paste(picture, (GAP + column * (size[1] + GAP), GAP + row * (size[0] + GAP)))
            place += 1
    return canvas


def _draw_objects(picture, boxes, labels, names):
    pen, line = ImageDraw.Draw(picture), max(1, sum(picture.size) // 400)
    real = labels >= 0
    corners = (boxes[real] * (picture.size * 2)).tolist()
    for (x1, y1, x2, y2), label in zip(corners, labels[real].tolist(), strict=True):
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=class_color(label), width=line)
        _write(pen, (x1 + line, y1 + line), names[label])


def _draw_label(picture, shares, names):
    best = np.argsort(-shares, kind="stable")[:NAMED]
    told = [k for k in best if shares[k] > max(0.01, 1.01 * shares.min())] or best[:1]
    text = ", ".join(f"{names[k]} {shares[k]:.2f}" for k in told)
    _write(ImageDraw.Draw(picture), (2, 2), text)


def _write(pen, place, text):
    pen.text(place, text, fill="white", font=ImageFont.load_default(11), stroke_width=1, stroke_fill="black")
