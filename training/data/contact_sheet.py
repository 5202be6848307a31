"""Images of a data set on one sheet, with their boxes and the names of their classes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...files import replacing
from ...tflite.device.frames import class_color

COLUMNS, SIDE, GAP, LINE = 6, 240, 8, 18  # images a row; pixels of an image, between two, and of the line below each
PAPER, INK, SOFT = (246, 247, 249), (27, 31, 39), (91, 100, 114)


def write_contact_sheet(path, parts, count=24):
    """Write a PNG of images from all splits, spread evenly over each; one that can't be read is an empty frame.

    Args:
        path: the file to write.
        parts: {split: `DetectionData` or `ClassificationData`}.
        count: images, shared among the splits.

    Returns:
        The path.
    """
    chosen = []
    for split, data in parts.items():
        share = min(len(data.examples), max(1, count // len(parts)))
        numbers = np.linspace(0, len(data.examples) - 1, share).round().astype(int)
        chosen += [(split, data.class_names, data.examples[i]) for i in numbers]
    rows = -(-len(chosen) // COLUMNS)
    step_x, step_y = SIDE + GAP, SIDE + LINE + GAP
    sheet = Image.new("RGB", (GAP + min(COLUMNS, len(chosen)) * step_x, GAP + rows * step_y), PAPER)
    for k, (split, names, example) in enumerate(chosen):
        sheet.paste(_tile(split, names, example), (GAP + k % COLUMNS * step_x, GAP + k // COLUMNS * step_y))
    with replacing(path) as aside:
        sheet.save(aside, "PNG")
    return path


def _tile(split, names, example):
    tile = Image.new("RGB", (SIDE, SIDE + LINE), PAPER)
    pen, small = ImageDraw.Draw(tile), ImageFont.load_default(11)
    caption = "array" if isinstance(example.image, np.ndarray) else example.image.name
    try:
        image = Image.fromarray(example.pixels())
    except OSError:
        pen.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=SOFT)
        pen.text((SIDE / 2, SIDE / 2), "not readable", SOFT, small, anchor="mm")
    else:
        scale = SIDE / max(image.size)
        kind = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST  # small ones: pixels as they are
        image = image.resize([max(1, round(side * scale)) for side in image.size], kind)
        corner = (SIDE - image.width) // 2, SIDE - image.height  # on its caption
        if hasattr(example, "boxes"):
            draw_objects(image, example.boxes * scale, example.labels, names, small)
        else:
            caption = f"{names[example.label]}: {caption}"
        tile.paste(image, corner)
    pen.text((1, SIDE + 2), _fitting(f"{split}/{caption}" if split else caption, small), INK, small)
    return tile


def draw_objects(image, boxes, labels, names, font):
    """Draw boxes in their classes' colours, and the names of these where none lies there already.

    Args:
        image: RGB `PIL.Image.Image`, which is drawn on.
        boxes: (N, 4) x1, y1, x2, y2 in its pixels.
        labels: (N,) numbers of `names`.
        names: the classes' names.
        font: of the names.
    """
    pen, taken = ImageDraw.Draw(image), []
    for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
        x1, y1, x2, y2 = (round(value) for value in box)
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=class_color(label), width=2)
    for k in np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable"):
        text, color = names[labels[k]], class_color(int(labels[k]))
        width, height = (side + 2 for side in pen.textbbox((0, 0), text, font=font)[2:])
        x, y = max(0, min(boxes[k, 0], image.width - width)), boxes[k, 1] - height * (boxes[k, 1] >= height)
        if any(abs(x - a) < max(width, b) and abs(y - c) < height for a, b, c in taken):
            continue
        taken.append((x, width, y))
        pen.rectangle((x, y, x + width, y + height), fill=color)
        bright = np.dot(color, (0.299, 0.587, 0.114)) > 140
        pen.text((x + 1, y + 1), text, "black" if bright else "white", font)


def _fitting(text, font):
    """The text, its beginning cut where it is wider than an image."""
    while font.getlength(text) > SIDE and len(text) > 4:
        text = "..." + text[4:] if text.startswith("...") else "..." + text[3:]
    return text
