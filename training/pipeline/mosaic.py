"""Four images in one, around a random point: a detector's mosaic, as albumentations has it, in a tenth of the time.

The cells are drawn before the images are decoded, so that only the parts that they show are decoded. Quarters are the
parts of mmdetection's mosaic, which is twice as large, and of which a random part is cut afterwards.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ...detection.images import FILL

COUNT = 4  # images


@dataclass(frozen=True)
class Cell:
    """One of the four parts of a mosaic; its image is scaled to cover the mosaic and shows its opposite corner."""

    shape: tuple  # the mosaic's (height, width) in pixels
    place: tuple  # (left, top, right, bottom) of the cell

    def window(self, size):
        """Return the (left, top, right, bottom) that the cell shows of an image of (width, height)."""
        (height, width), (left, top, right, bottom) = self.shape, self.place
        scale = max(width / size[0], height / size[1])
        window = width - right, height - bottom, width - left, height - top
        return tuple(side / scale for side in window)

    def __call__(self, pixels, boxes):
        """Fit an image, `Pixels` of at least the window, and its boxes to the cell.

        The boxes (N, 4), in pixels of the image in full resolution, become the mosaic's, cut at the cell's edges.
        """
        left, top, right, bottom = self.place
        inside = np.subtract(self.window(pixels.size), pixels.corner * 2) / pixels.factor
        end = np.array(pixels.array.shape[1::-1])
        first = np.minimum(np.rint(inside[:2]).astype(int), end - 1)  # of the smallest image one pixel is left
        last = np.maximum(np.minimum(np.rint(inside[2:]).astype(int), end), first + 1)
        size = right - left, bottom - top
        image = cv2.resize(pixels.array[first[1] : last[1], first[0] : last[0]], size)
        boxes = (boxes - np.tile(pixels.corner, 2)) / pixels.factor
        boxes = (boxes - np.tile(first, 2)) * np.tile(size / (last - first), 2) + np.tile(self.place[:2], 2)
        return image, np.clip(boxes, self.place[:2] * 2, self.place[2:] * 2)


class Quarter(Cell):
    """One of the four parts of a mosaic of twice the input's size.

    Its image is scaled to fit the input and touches the mosaic's point with a corner; where it does not reach is grey.
    """

    window = None  # type: ignore[assignment]  # all of the image

    def __call__(self, pixels, boxes):
        """Fit a whole image, `Pixels`, and its boxes to the quarter, as `Cell` does."""
        left, top, right, bottom = self.place
        scale = min(side / 2 / length for side, length in zip(self.shape, pixels.size[::-1], strict=True))
        size = np.maximum(1, np.rint(np.multiply(pixels.size, scale)).astype(int))
        image = cv2.resize(pixels.array, size.tolist(), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        corner = np.array([left if left else right - size[0], top if top else bottom - size[1]])
        first, last = np.maximum(corner, (left, top)), np.minimum(corner + size, (right, bottom))
        result = np.full((bottom - top, right - left, 3), FILL, "uint8")
        (x1, y1), (x2, y2) = first - (left, top), last - (left, top)
        (u1, v1), (u2, v2) = first - corner, last - corner
        result[y1:y2, x1:x2] = image[v1:v2, u1:u2]
        boxes = boxes * np.tile(size / pixels.size, 2) + np.tile(corner, 2)
        return result, np.clip(boxes, np.tile(first, 2), np.tile(last, 2))


def cells(rng, shape):
    """Draw the four cells of a mosaic of (height, width), in random order, around a point in its middle two fifths."""
    return _around(rng, shape, 0.3, Cell)


def quarters(rng, shape):
    """Draw the four quarters of a mosaic twice as large as (height, width), around a point in its middle half."""
    return _around(rng, tuple(2 * side for side in shape), 0.25, Quarter)


def _around(rng, shape, margin, kind):
    height, width = shape
    x, y = int(width * rng.uniform(margin, 1 - margin)), int(height * rng.uniform(margin, 1 - margin))
    places = (0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)
    return [kind(shape, places[i]) for i in rng.permutation(COUNT)]


def join(parts):
    """Join the four cells, each given as (cell, `Pixels`, boxes, labels), to (image, boxes, labels)."""
    image, boxes, labels = np.empty((*parts[0][0].shape, 3), "uint8"), [], []
    for cell, pixels, places, kinds in parts:
        left, top, right, bottom = cell.place
        image[top:bottom, left:right], places = cell(pixels, places)
        shown = (places[:, 2:] > places[:, :2]).all(axis=1)
        boxes.append(places[shown])
        labels.append(kinds[shown])
    return image, np.concatenate(boxes), np.concatenate(labels)
