"""Contact sheets: images of a data set in a grid, with their boxes and the names of their classes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...files import replacing
from ...tflite.device.drawing import class_color, draw_boxes
from .images import shown

COLUMNS, SIDE, GAP, LINE = 6, 240, 8, 18  # images per row; pixels of an image, between two, and of the line below each
PAPER, INK, SOFT = (246, 247, 249), (27, 31, 39), (91, 100, 114)


def write_contact_sheet(path, parts, count=24):
    """Write a PNG of images from {split: data}, spread evenly over each; one that can't be read is an empty frame.

    The splits share `count` images. Return the path.
    """
    chosen = []
    for split, data in parts.items():
        share = min(len(data.examples), max(1, count // len(parts)))
        numbers = np.linspace(0, len(data.examples) - 1, share).round().astype(int)
        chosen += [(split, data.class_names, data.examples[i]) for i in numbers]
    sheet = grid([_tile(*one) for one in chosen], min(COLUMNS, len(chosen)), GAP, PAPER)
    with replacing(path) as aside:
        sheet.save(aside, "PNG")
    return path


def grid(tiles, columns, gap, color):
    """Lay out images of one size row by row, `gap` pixels of `color` around each."""
    width, height = tiles[0].size
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (gap + columns * (width + gap), gap + rows * (height + gap)), color)
    for k, tile in enumerate(tiles):
        row, column = divmod(k, columns)
        sheet.paste(tile, (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet


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
        kind = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST  # a small one shows its own pixels
        image = image.resize([max(1, round(side * scale)) for side in image.size], kind)
        corner = (SIDE - image.width) // 2, SIDE - image.height  # on its caption
        if hasattr(example, "boxes"):
            draw_objects(image, example.boxes * scale, example.labels, names)
        else:
            caption = f"{names[example.label]}: {caption}"
        tile.paste(image, corner)
    pen.text((1, SIDE + 2), _fitting(shown(f"{split}/{caption}" if split else caption), small), INK, small)
    return tile


def draw_objects(image, boxes, labels, names):
    """Draw boxes in their classes' colours, the smallest on top, and the classes' names where there is room.

    The RGB image is drawn on; boxes (N, 4) are x1, y1, x2, y2 in its pixels, labels (N,) numbers of `names`.
    """
    order = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")
    labels = labels[order].tolist()
    texts, colors = [shown(names[label]) for label in labels], [class_color(label) for label in labels]
    draw_boxes(image, boxes[order], texts, colors, line=2, font_size=11, crowded=False)


def _fitting(text, font):
    """Cut the beginning of a text that is wider than an image."""
    while font.getlength(text) > SIDE and len(text) > 4:
        text = "..." + text[4:] if text.startswith("...") else "..." + text[3:]
    return text
