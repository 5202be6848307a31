"""Four images in one, around a random point: a detector's mosaic, as albumentations has it, in a tenth of the time.

The cells are drawn before the images are decoded, so that only the parts that they show are decoded.
"""

from dataclasses import dataclass

import cv2
import numpy as np

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


def cells(rng, shape):
    """Draw the four cells of a mosaic of (height, width), in random order, around a point in its middle two fifths."""
    height, width = shape
    x, y = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
    places = (0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)
    return [Cell(shape, places[i]) for i in rng.permutation(COUNT)]


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
