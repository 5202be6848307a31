"""Transforms of Darknet's classifiers that albumentations lacks."""

import math

import albumentations as A
import cv2
import numpy as np


def random_scale(rng, limit):
    """Draw a factor between `limit` and 1, or as often its inverse: Darknet's `rand_scale`."""
    scale = rng.uniform(*sorted((1, limit)))
    return scale if rng.random() < 0.5 else 1 / scale


class RescaledCrop(A.ImageOnlyTransform):
    """A window of a rescaled and rotated image, black where it reaches outside: Darknet's `random_augment_image`.

    Args:
        size: (height, width) of the window in pixels.
        angle: degrees to either side.
        aspect: the width is scaled by up to this factor against the height, or its inverse.

    Besides `image` it is called with `shorter`, the pixels of the image's shorter side after rescaling: it is drawn
    before the image is decoded, so that no more pixels are decoded than it needs.
    """

    targets_as_params = ("shorter",)

    def __init__(self, size, angle, aspect):
        super().__init__(p=1.0)
        self.size, self.angle, self.aspect = tuple(size), angle, aspect
        # Reused: to allocate it costs more than what is done in it. Only one thread uses a transform at a time.
        self._memory, self._window = np.empty(0, np.uint8), np.empty((*self.size, 4), np.uint8)

    def get_params_dependent_on_data(self, params, data):
        """Draw the (2, 3) matrix from the window's pixels to the image's."""
        (height, width), (h, w), rng = self.size, params["shape"][:2], self.py_random
        aspect = random_scale(rng, self.aspect)
        scale = data["shorter"] / min(h, w * aspect)
        turn = math.radians(rng.uniform(-self.angle, self.angle))
        free_x, free_y = max(0, w * scale / aspect - width) / 2, max(0, h * scale - height) / 2
        # A pixel's coordinates are its middle, half a pixel after its corner, in the window and in the image.
        x, y = rng.uniform(-free_x, free_x) - width / 2 + 0.5, rng.uniform(-free_y, free_y) - height / 2 + 0.5
        cos, sin = math.cos(turn) / scale, math.sin(turn) / scale
        rows = (cos * aspect, -sin, cos * aspect * x - sin * y + w / 2 - 0.5)
        return {"matrix": np.array([rows, (sin * aspect, cos, sin * aspect * x + cos * y + h / 2 - 0.5)])}

    def apply(self, img, matrix, **params):
        factor = int(min(math.hypot(*matrix[:, 0]), math.hypot(*matrix[:, 1])))
        if factor > 1:  # bilinear interpolation alone would leave out pixels
            h, w = (max(1, side // factor) for side in img.shape[:2])
            whole = img[: h * factor, : w * factor]  # OpenCV averages blocks of whole pixels several times as fast
            img = cv2.resize(whole, (w, h), interpolation=cv2.INTER_AREA)
            matrix = (matrix + [0, 0, 0.5]) / factor - [0, 0, 0.5]
        # OpenCV warps four channels in less than half the time of three.
        shape = (*img.shape[:2], 4)
        if self._memory.size < math.prod(shape):
            self._memory = np.empty(math.prod(shape), np.uint8)
        img = cv2.cvtColor(img, cv2.COLOR_RGB2RGBA, dst=self._memory[: math.prod(shape)].reshape(shape))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        window = cv2.warpAffine(img, matrix, self.size[::-1], dst=self._window, flags=flags)
        return cv2.cvtColor(window, cv2.COLOR_RGBA2RGB)


GREY = np.full((3, 3), 1 / 3)  # a colour's part on the grey axis, around which hue is an angle, saturation a length
QUARTER = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)  # the rest, turned from red towards green


class Distortion(A.ImageOnlyTransform):
    """A change in hue, saturation and exposure: Darknet's `random_distort_image`, around the grey axis in place of HSV.

    So it is one matrix, in a tenth of the time that HSV takes.

    Args:
        hue: largest turn, in parts of the colour circle.
        saturation, exposure: largest factor or its inverse.
    """

    def __init__(self, hue, saturation, exposure):
        super().__init__(p=1.0)
        self.hue, self.saturation, self.exposure = hue, saturation, exposure

    def get_params(self):
        rng = self.py_random
        turn = 2 * math.pi * rng.uniform(-self.hue, self.hue)
        saturation, exposure = (random_scale(rng, limit) for limit in (self.saturation, self.exposure))
        chroma = math.cos(turn) * (np.eye(3) - GREY) + math.sin(turn) * QUARTER
        return {"matrix": exposure * (GREY + saturation * chroma)}

    def apply(self, img, matrix, **params):
        return cv2.transform(img, matrix)
