"""Boxes and their names, drawn on images."""

import numpy as np
from PIL import ImageColor, ImageDraw, ImageFont


def draw_detections(image, found, names):
    """Draw what `Detector.detect` found on an RGB `PIL.Image.Image`: boxes, class names, scores."""
    order = range(len(found["scores"]))[::-1]  # the best last: its name lies on top
    texts = [f"{names[found['labels'][i]]} {found['scores'][i]:.2f}" for i in order]
    colors = [class_color(int(found["labels"][i])) for i in order]
    draw_boxes(image, found["boxes"][::-1], texts, colors)


def draw_boxes(image, boxes, texts, colors, line=None, font_size=None, place="above", crowded=True):
    """Draw boxes on an RGB image, then their texts.

    Args:
        image: `PIL.Image.Image`, which is changed.
        boxes: (N, 4) x1, y1, x2, y2 in its pixels.
        texts: one for each box; "" for none.
        colors: an RGB colour for each box.
        line: the lines' width in pixels; None: as suits the image.
        font_size: of the texts, in pixels; None: as suits the image.
        place: where a text lies: "above" its box, or inside if the image ends there; inside at the "top" or "bottom".
        crowded: whether a text is drawn where another one lies already.
    """
    pen, taken = ImageDraw.Draw(image), []
    line = line or max(1, round(sum(image.size) / 500))
    font = ImageFont.load_default(font_size or max(10, sum(image.size) / 80))
    corners = np.reshape(boxes, (-1, 4)).round().astype(int).tolist()
    for i, (x1, y1, x2, y2) in enumerate(corners):
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colors[i], width=line)
    for i, (x1, y1, _, y2) in enumerate(corners):
        width, height = (side + line for side in pen.textbbox((line, line), texts[i], font=font)[2:])
        x = max(0, min(x1, image.width - width))
        y = {"above": y1 - height * (y1 >= height), "top": y1, "bottom": max(0, y2 - height)}[place]
        if not texts[i] or any(abs(x - a) < max(width, b) and abs(y - c) < height for a, b, c in taken):
            continue
        if not crowded:
            taken.append((x, width, y))
        pen.rectangle((x, y, x + width, y + height), fill=colors[i])
        bright = np.dot(colors[i], (0.299, 0.587, 0.114)) > 140
        pen.text((x + line, y + line), texts[i], fill="black" if bright else "white", font=font)


def class_color(label):
    """Return a class's own RGB colour: neighbours lie a golden ratio apart on the colour circle."""
    return ImageColor.getrgb(f"hsv({label * 222.492 % 360}, 85%, {100 - label % 3 * 12}%)")
