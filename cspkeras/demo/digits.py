"""Draw detection scenes of real handwriting, to train and try a detector with nothing to download.

The digits are scikit-learn's `load_digits`, 1,797 images of 8x8 pixels written by hand. Each scene lays
some of them, enlarged, turned and inked in a colour, on a drawn desk, sheet of paper, wall or blackboard.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SPLITS = ("train", "test")
MIN_SIZE = 64
DIGITS = (2, 7)  # how many a scene holds
HEIGHTS = (0.16, 0.45)  # of a digit, as a part of the scene's side
MAX_ANGLE = 12.0  # degrees
MAX_OVERLAP = 0.04  # intersection over the smaller box, so the IoU stays below it too
MIN_CONTRAST = 3.5  # ink to ground, as WCAG counts it; up to 4, black or white is clear of any ground
VISIBLE = 0.2  # the opacity from which a pixel counts as ink


class Scene(NamedTuple):
    """One image and its digits."""

    image: np.ndarray  # uint8 RGB, (size, size, 3)
    boxes: np.ndarray  # float32, (N, 4): x1, y1, x2, y2 in pixels, tight round the ink; x2 and y2 are exclusive
    labels: np.ndarray  # int64, (N,): the digits, 0 to 9


@dataclass(frozen=True)
class Ground:
    """What the digits are written on; amplitudes in grey levels of 255."""

    colours: tuple[tuple[int, int, int], ...]
    cells: tuple[int, int]  # rows and columns of the coarse noise: unequal gives streaks
    mottle: float  # amplitude of the coarse noise
    grain: float  # amplitude of the noise between neighbouring pixels
    ruling: tuple[str, ...] = ("none",)  # printed lines: "none", "lines" or "grid"


GROUNDS = (  # paper, light wood, walnut, wall, blackboard
    Ground(((250, 246, 236), (244, 240, 226), (240, 244, 248)), (10, 10), 3, 2, ("none", "lines", "grid")),
    Ground(((214, 176, 128), (226, 196, 152), (196, 150, 104)), (56, 3), 9, 3),
    Ground(((96, 66, 48), (74, 54, 44)), (56, 3), 6, 3),
    Ground(((226, 214, 200), (200, 214, 208), (206, 212, 226), (236, 206, 190)), (24, 24), 6, 4),
    Ground(((44, 66, 58), (46, 52, 60), (36, 48, 78)), (7, 12), 7, 4),
)
INKS = np.array(
    [
        (28, 28, 34), (24, 52, 120), (28, 88, 200), (196, 36, 44), (16, 112, 66), (104, 44, 150),
        (0, 108, 122), (206, 74, 16),
        (250, 248, 240), (255, 222, 92), (150, 212, 255), (255, 166, 186), (156, 236, 184),
    ],
    np.float32,
)  # fmt: skip
ACCENTS = ((232, 84, 72), (246, 190, 72), (88, 170, 120), (76, 142, 214), (150, 112, 196), (236, 236, 232))


def scenes(count: int, size: int = 160, seed: int = 0, split: str = "train") -> Iterator[Scene]:
    """Yield scenes 0 to `count` - 1, each the same as `scene` gives for its number.

    The image is a square of `size` pixels; another `seed` of at least 0 gives other scenes; no handwritten sample is in
    both splits, "train" and "test" (a writer may be). ValueError: an argument is out of its range.
    """
    if count < 0:
        raise ValueError(f"count must be 0 or more. Received: count={count}")
    _check(size, seed)
    handwriting(split)  # its errors come now, not at the first scene
    return (scene(index, size, seed, split) for index in range(count))


def scene(index: int, size: int = 160, seed: int = 0, split: str = "train") -> Scene:
    """Draw one scene; the same arguments give the same pixels. Arguments and errors as for `scenes`."""
    _check(size, seed)
    glyphs, digits = handwriting(split)
    rng = np.random.default_rng([seed, index, SPLITS.index(split)])
    canvas = ground(rng, size)
    boxes, labels = np.zeros((0, 4), np.float32), []
    for _ in range(rng.integers(DIGITS[0], DIGITS[1] + 1)):
        sample = rng.integers(len(glyphs))
        height = size * math.exp(rng.uniform(math.log(HEIGHTS[0]), math.log(HEIGHTS[1])))
        angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE)
        while True:
            ink = render(glyphs[sample], height, angle)
            box = _place(rng, ink.shape, boxes, size)
            if box is not None or height <= size * HEIGHTS[0]:
                break
            height = max(height * 0.7, size * HEIGHTS[0])  # a crowded scene takes smaller digits
        if box is not None:
            x1, y1, x2, y2 = box
            _blend(canvas[y1:y2, x1:x2], ink, rng)
            boxes = np.concatenate([boxes, np.array([box], np.float32)])
            labels.append(digits[sample])
    return Scene(_to_uint8(canvas), boxes, np.array(labels, np.int64))


@functools.cache
def handwriting(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the handwritten samples of one split: 80 % of them train, 20 % test.

    Return glyphs, uint8 (N, 96, 96), the 8x8 samples enlarged eight times with a margin of 16 pixels, in which 128 is
    the ink's edge and 0 bare ground; and their labels, int64 (N,).
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split!r}")
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the digit scenes need scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    cut = len(images) * 4 // 5
    chosen = order[:cut] if split == "train" else order[cut:]
    padded = np.pad(images[chosen].reshape(-1, 8, 8) * (255 / 16), ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    return np.stack([_enlarge(sample) for sample in padded]), labels[chosen].astype(np.int64)


def _enlarge(sample: np.ndarray) -> np.ndarray:
    image = Image.fromarray(sample).resize((96, 96), Image.Resampling.BICUBIC)
    nearby = image.filter(ImageFilter.GaussianBlur(8))
    # The edge follows the mean of a pixel's surroundings: small loops stay open, faint strokes stay whole.
    above = np.asarray(image, np.float32) - 0.7 * np.asarray(nearby, np.float32) - 0.2 * 255
    return _to_uint8(127.5 + 2.5 * above)


def render(glyph: np.ndarray, height: float, angle: float) -> np.ndarray:
    """Return the opacity of a glyph's ink, float32 0..1, cropped to the pixels where it can be seen.

    `height` is what the sample's eight rows become, in pixels; `angle` is in degrees, counter-clockwise.
    """
    side = math.ceil(height * 1.5)
    step = 64 / height
    cos, sin = step * math.cos(math.radians(angle)), step * math.sin(math.radians(angle))
    shift = side / 2
    matrix = (cos, -sin, 48 - (cos - sin) * shift, sin, cos, 48 - (cos + sin) * shift)
    image = Image.fromarray(glyph)
    turned = image.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    # The enlarged sample is a blur; a ramp about one output pixel wide gives it a pen's edge, anti-aliased.
    ink = np.clip((np.asarray(turned, np.float32) / 255 - 0.5) * max(height / 14, 1) + 0.5, 0, 1)
    seen = ink >= VISIBLE
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw what the digits are written on, its light, texture and distractors: float32 (size, size, 3)."""
    kind = GROUNDS[rng.integers(len(GROUNDS))]
    base = np.add(kind.colours[rng.integers(len(kind.colours))], rng.uniform(-8, 8) + rng.uniform(-3, 3, 3))
    light = base * rng.uniform(0.86, 1.06, (3, 3, 1))
    image = Image.fromarray(_to_uint8(light)).resize((2 * size, 2 * size), Image.Resampling.BICUBIC)
    _distract(ImageDraw.Draw(image), rng, base, 2 * size, kind.ruling[rng.integers(len(kind.ruling))])
    cells = rng.normal(0, kind.mottle, kind.cells[:: rng.choice((1, -1))]).astype(np.float32)
    mottle = np.asarray(Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC))
    grain = rng.standard_normal((size, size), np.float32) * np.float32(kind.grain)
    return np.asarray(image.reduce(2), np.float32) + (mottle + grain)[..., None]


def _distract(draw: ImageDraw.ImageDraw, rng: np.random.Generator, base: np.ndarray, size: int, ruling: str):
    """Draw printed lines, slips of paper, discs and long strokes, all of a colour near the ground's."""

    def tint(low: float, high: float) -> tuple[int, ...]:
        part = rng.uniform(low, high)
        return tuple(int(v) for v in base * (1 - part) + np.array(ACCENTS[rng.integers(len(ACCENTS))]) * part)

    shade = tuple(int(v) for v in base * 0.8)
    if ruling != "none":
        colour, pitch = tint(0.2, 0.35), size * rng.uniform(0.07, 0.12)
        for at in np.arange(rng.uniform(0, pitch), size, pitch):
            draw.line((0, at, size, at), colour, 2)
            if ruling == "grid":
                draw.line((at, 0, at, size), colour, 2)
    for kind in rng.choice(("slip", "disc", "stroke"), rng.integers(1, 5), p=(0.4, 0.25, 0.35)):
        x, y = rng.uniform(0, size, 2)
        if kind == "slip":
            angle, half = rng.uniform(0, math.pi), rng.uniform(0.12, 0.32, 2) * size
            turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            corners = (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half) @ turn + (x, y)
            draw.polygon([tuple(corner) for corner in corners + size / 100], shade)
            draw.polygon([tuple(corner) for corner in corners], tint(0.15, 0.4))
        elif kind == "disc":
            radius, drop = rng.uniform(0.03, 0.12) * size, size / 120
            draw.ellipse((x - radius + drop, y - radius + drop, x + radius + drop, y + radius + drop), shade)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), tint(0.25, 0.5))
        else:
            bend, end = rng.uniform(-0.3, 1.3, (2, 2)) * size
            t = np.linspace(0, 1, 24)[:, None]
            curve = (1 - t) ** 2 * (x, y) + 2 * t * (1 - t) * bend + t**2 * end
            width = int(rng.integers(2, 6))
            draw.line([tuple(point) for point in curve], tint(0.25, 0.5), width, joint="curve")


def _place(rng: np.random.Generator, shape: tuple, boxes: np.ndarray, size: int) -> np.ndarray | None:
    """Return a free place for an image of `shape` (rows, columns): x1, y1, x2, y2, or None if none was found."""
    extent = np.array(shape[::-1])
    corners = rng.integers(0, size - extent, (48, 2), endpoint=True)
    spots = np.concatenate([corners, corners + extent], 1)
    low = np.maximum(spots[:, None, :2], boxes[:, :2])
    high = np.minimum(spots[:, None, 2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    smaller = np.minimum(extent.prod(), (boxes[:, 2:] - boxes[:, :2]).prod(-1))
    free = np.flatnonzero((shared <= MAX_OVERLAP * smaller).all(1))
    return spots[free[0]] if len(free) else None


def _blend(patch: np.ndarray, ink: np.ndarray, rng: np.random.Generator) -> None:
    """Write `ink` onto `patch`, in a colour that stands out from what lies under it."""
    inks = INKS + rng.uniform(-10, 10, 3).astype(np.float32)
    under = (patch * ink[..., None]).sum((0, 1)) / ink.sum()
    lights, light = _luminance(inks) + 0.05, _luminance(under) + 0.05
    contrast = np.maximum(lights, light) / np.minimum(lights, light)
    colour = inks[rng.choice(np.flatnonzero(contrast >= MIN_CONTRAST))]
    patch += (colour - patch) * (0.94 * ink[..., None])


def _luminance(colour: np.ndarray) -> np.ndarray:
    return (np.clip(colour, 0, 255) / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _check(size: int, seed: int) -> None:
    if size < MIN_SIZE:
        raise ValueError(f"size must be {MIN_SIZE} pixels or more. Received: size={size}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more. Received: seed={seed}")
