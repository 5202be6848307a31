"""The anchors of a YOLO head and the grid that they lie on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Self

import numpy as np

from .codings import CODINGS

# Published for 416 pixels, width x height, by the number of levels: three for yolov3.cfg and the paper's base networks,
# two for yolov4-tiny.cfg and the paper's PRN, where one anchor belongs to both levels.
YOLO_416 = {
    3: ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326)),
    2: ((23, 27), (37, 58), (81, 82), (81, 82), (135, 169), (344, 319)),
}
STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Anchors:
    """The anchor boxes of each pyramid level.

    Attributes:
        size: (height, width) of the network's input in pixels.
        boxes: for each level, finest first, its anchors as (width, height) in pixels of that input.
        strides: the levels' strides in pixels.
        scale_xy: for each level, how far a centre may leave its cell (Darknet's scale_x_y; 1 keeps it inside).
        coding: what the raw numbers of a box mean, a key of `codings.CODINGS`: "yolo", "free", "scaled", "distances"
            or "log_distances".

    Raises:
        ValueError: for another coding, and where `boxes`, `strides` and `scale_xy` are not of equally many levels.

    Example:
        >>> from cspkeras.detection.anchors import Anchors
        >>> Anchors.distances((64, 96)).coding, Anchors.distances((64, 96)).levels
        ('distances', ('P3', 'P4', 'P5'))
    """

    size: tuple[int, int]
    boxes: tuple[tuple[tuple[float, float], ...], ...]
    strides: tuple[int, ...] = STRIDES
    scale_xy: tuple[float, ...] = (1.0, 1.0, 1.0)
    coding: str = "yolo"

    def __post_init__(self):
        if self.coding not in CODINGS:
            raise ValueError(f"coding must be one of {', '.join(CODINGS)}. Received: coding={self.coding!r}")
        counts = {name: len(getattr(self, name)) for name in ("boxes", "strides", "scale_xy")}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{name} of {count}" for name, count in counts.items())
            raise ValueError(f"anchors must have boxes, a stride and a scale_xy for each level. Received: {found}")

    @classmethod
    def of(
        cls,
        pairs: Iterable[Sequence[float]],
        size: Sequence[int],
        strides: Sequence[int] = STRIDES,
        scale_xy: Sequence[float] | None = None,
        coding: str = "yolo",
    ) -> Self:
        """Spread `pairs` of (width, height), any order, over the levels by area; the finest gets the smallest.

        Args:
            pairs: in pixels, equally many for each level.
            size: (height, width) of the network's input in pixels.
            strides: the levels' strides, finest first.
            scale_xy: as the attribute; None for 1 on each level.
            coding: as the attribute.

        Raises:
            ValueError: if the number of pairs is not a multiple of the number of levels, or a pair is not positive.
        """
        given, levels = [tuple(map(float, np.atleast_1d(pair))) for pair in pairs], len(strides)
        if not given or len(given) % levels or any(len(pair) != 2 or min(pair) <= 0 for pair in given):
            raise ValueError(
                f"anchors must be a multiple of {levels} pairs of positive (width, height). Received: {given}"
            )
        ordered = sorted(((width, height) for width, height in given), key=lambda pair: pair[0] * pair[1])
        n = len(ordered) // levels
        boxes = tuple(tuple(ordered[i * n : i * n + n]) for i in range(levels))
        height, width = size
        return cls((height, width), boxes, tuple(strides), tuple(scale_xy or [1.0] * levels), coding)

    @classmethod
    def published(cls, size: Sequence[int], strides: Sequence[int] = STRIDES) -> Self:
        """Return YOLOv3's anchors for three levels or YOLOv4-tiny's for two, scaled from 416 pixels to `size`."""
        height, width = size
        if len(strides) not in YOLO_416:
            raise ValueError(
                f"there are published anchors for 2 or 3 levels; give anchors. Received: strides {tuple(strides)}"
            )
        return cls.of([(w * width / 416, h * height / 416) for w, h in YOLO_416[len(strides)]], size, strides)

    @classmethod
    def free(cls, size: Sequence[int], strides: Sequence[int] = STRIDES) -> Self:
        """Return the cells that an anchor-free head (YOLOX) decodes by: one prediction each, in units of its size."""
        return cls._cells(size, strides, "free")

    @classmethod
    def distances(cls, size: Sequence[int], strides: Sequence[int] = STRIDES, log: bool = False) -> Self:
        """Return the cells that RTMDet's head decodes by: one prediction each, the distances to the box's sides.

        Args:
            size: (height, width) of the network's input in pixels.
            strides: the levels' strides, finest first.
            log: whether the raw numbers are the distances' logarithms, as in RTMDet M, L and X.
        """
        return cls._cells(size, strides, "log_distances" if log else "distances")

    @classmethod
    def _cells(cls, size, strides, coding):
        boxes = tuple(((float(stride), float(stride)),) for stride in strides)
        return cls(tuple(size), boxes, tuple(strides), (1.0,) * len(strides), coding)

    @property
    def objectness(self) -> bool:
        """Whether a prediction's scores (1 + C) begin with an objectness; if not, they are the C classes' alone."""
        return CODINGS[self.coding].objectness

    @property
    def levels(self) -> tuple[str, ...]:
        """The names of the pyramid levels, finest first: "P3" has stride 8."""
        return tuple(f"P{stride.bit_length() - 1}" for stride in self.strides)

    @property
    def pairs(self) -> np.ndarray:
        """All anchors (A, 2) as (width, height) in pixels, finest level first."""
        return np.array([pair for level in self.boxes for pair in level], "float32")

    @lru_cache  # noqa: B019 - frozen, and a program has few of them
    def grid(self) -> "Grid":
        """Return the place of each of the network's predictions, in parts of the input: float32 arrays."""
        cells, origins, sizes, scales = [], [], [], []
        height, width = self.size
        for boxes, stride, scale in zip(self.boxes, self.strides, self.scale_xy, strict=True):
            rows, columns = height // stride, width // stride
            y, x, a = np.meshgrid(np.arange(rows), np.arange(columns), np.arange(len(boxes)), indexing="ij")
            origins.append(np.stack([x, y], -1).reshape(-1, 2) * stride / [width, height])
            cells.append(np.full((x.size, 2), stride) / [width, height])
            sizes.append(np.array(boxes)[a.reshape(-1)] / [width, height])
            scales.append(np.full((x.size, 1), scale))
        arrays = [np.concatenate(v).astype("float32") for v in (origins, cells, sizes, scales)]
        return Grid(self.coding, *arrays)

    def offsets(self) -> np.ndarray:
        """Return the index of each level's first prediction."""
        height, width = self.size
        counts = [height // s * (width // s) * len(b) for s, b in zip(self.strides, self.boxes, strict=True)]
        return np.cumsum([0, *counts[:-1]])

    def get_config(self) -> dict[str, Any]:
        """Return the attributes, for `from_config`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild anchors from `get_config`'s dict, which may have passed through JSON or be an older version's."""

        def frozen(value):
            return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value

        arguments = {key: frozen(value) for key, value in config.items()}
        if (linear := arguments.pop("linear", None)) is not None:  # before there were codings
            arguments["coding"] = "free" if linear else "yolo"
        return cls(**arguments)


@dataclass(frozen=True)
class Grid:
    """Arrays over all predictions, in the order level, row, column, anchor; x before y; in parts of the input."""

    coding: str  # as in `Anchors`
    origins: np.ndarray  # (P, 2) the cells' left upper corners
    cells: np.ndarray  # (P, 2) the cells' sizes
    sizes: np.ndarray  # (P, 2) the anchors' sizes
    scales: np.ndarray  # (P, 1) scale_xy
