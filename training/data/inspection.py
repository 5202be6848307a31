"""What is in a data set and what is wrong with it: every image decoded, every box measured, all images compared."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np

from .class_names import short
from .example_tables import ExampleTable, LabelTable
from .examples import ClassificationData, DetectionData, image_name
from .images import decoding_threads, pixel_count, shown
from .look_alikes import Fingerprint, equals, image_fingerprint, look_alikes

SMALL, LARGE = 32**2, 96**2  # square pixels: COCO's bounds of small, medium and large objects
LARGE_IMAGE = 16_000_000  # pixels; of larger images one at a time is decoded
MAX_LINES = 10  # of each kind of finding, in text


@dataclass(frozen=True)
class Inspection:
    """The findings of `inspect`.

    Attributes:
        splits: {split: figures}: its numbers of images, classes and boxes, and [least, median, most] of their sides.
        problems: a line for everything that the readers left out or cut.
        broken: a line for each image that can't be decoded.
        damaged: a line for each image of which a part could be decoded, or that is darker than it should be.
        equal: lists of the names of images that are the same to the last pixel, within one split.
        leaks: such lists across splits.
        alike: (name, name) of images that look the same, within one split.
        alike_leaks: such pairs across splits.
        unused: a line for each kind of file that is in none of the splits.
    """

    splits: dict[str, dict]
    problems: list[str]
    broken: list[str]
    damaged: list[str]
    equal: list[list[str]]
    leaks: list[list[str]]
    alike: list[tuple[str, str]]
    alike_leaks: list[tuple[str, str]]
    unused: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no image is broken, damaged or leaks and there are no problems; doubles and look-alikes may be."""
        return not (self.problems or self.broken or self.damaged or self.leaks)

    def to_json(self) -> dict:
        """Return all findings, as JSON can hold them."""
        return {"passed": self.passed, **vars(self)}

    def lines(self) -> Iterator[str]:
        """Yield the findings as text, the first few of each kind."""
        for split, figures in self.splits.items():
            yield f"{split}: {_counted(figures)}"
            rows = {name: row for name, row in figures["classes"].items() if row["images"]}
            width = max((len(short(name)) for name in rows), default=0)
            yield from (f"    {short(name):{width}} {_figures(row)}" for name, row in rows.items())
            if absent := [name for name in figures["classes"] if name not in rows]:
                more = ", ..." if len(absent) > MAX_LINES else ""
                yield f"    {len(absent)} classes that do not occur: {', '.join(map(short, absent[:MAX_LINES]))}{more}"
        for title, found in (
            ("left out or cut by the reader", self.problems),
            ("broken images", self.broken),
            ("damaged images, which are used", self.damaged),
            ("leaks: the same image in several splits", [" = ".join(group) for group in self.leaks]),
            ("the same image several times in a split", [" = ".join(group) for group in self.equal]),
            ("look the same, in two splits", [" ~ ".join(pair) for pair in self.alike_leaks]),
            ("look the same, in one split", [" ~ ".join(pair) for pair in self.alike]),
            ("files that are not used", self.unused),
        ):
            yield f"{title}: {len(found) or 'none'}"
            yield from (f"    {line}" for line in found[:MAX_LINES])
            if len(found) > MAX_LINES:
                yield f"    ... {len(found) - MAX_LINES} more"


def inspect(parts: Mapping[str | None, DetectionData | ClassificationData], threads: int | None = None) -> Inspection:
    """Decode all images of a data set, measure its boxes, and find broken, equal and similar images.

    Args:
        parts: {split: `DetectionData` or `ClassificationData`}; the split None is a data set without splits.
        threads: number of images to decode at once; None for one per core.

    Returns:
        `Inspection`; a broken image is a finding, not an error.

    Example:
        >>> import numpy as np
        >>> from cspkeras.training import ClassificationData, LabelledImage, inspect
        >>> image = np.zeros((48, 64, 3), "uint8")
        >>> data = ClassificationData([LabelledImage(image, 0)] * 2, ("cat", "dog"))
        >>> findings = inspect({"train": data})
        >>> findings.passed, findings.equal
        (True, [['train/image 0', 'train/image 1']])
    """
    jobs = [(split, example) for split, data in parts.items() for example in data.examples]
    alone = Lock()
    with ThreadPoolExecutor(threads or decoding_threads()) as pool:
        seen = list(pool.map(lambda job: _look(job[1], alone), jobs))
    broken = [look.error for look in seen if look.error]
    damaged = [f"{shown(jobs[i][1].image)}: {look.damage}" for i, look in enumerate(seen) if look.damage]
    readable = [i for i, look in enumerate(seen) if not look.error]
    prints, where = [seen[i].fingerprint for i in readable], [jobs[i][0] for i in readable]
    sizes = {split: [seen[i].size for i in readable if jobs[i][0] == split] for split in parts}
    names = [_name(*jobs[i], i) for i in readable]
    equal, leaks = [], []
    for group in equals(prints):
        (leaks if len({where[i] for i in group}) > 1 else equal).append([names[i] for i in group])
    alike, alike_leaks = [], []
    for i, j in look_alikes(prints, where):
        (alike if where[i] == where[j] else alike_leaks).append((names[i], names[j]))
    return Inspection(
        {split or "all": _measured(data, sizes[split]) for split, data in parts.items()},
        _problems(parts),
        broken,
        damaged,
        equal,
        leaks,
        alike,
        alike_leaks,
    )


class _Look(NamedTuple):
    """What is seen of an image: what is wrong with it, or its fingerprint and size."""

    error: str | None = None
    damage: str | None = None
    fingerprint: Fingerprint | None = None
    size: tuple[int, int] | None = None


def _look(example, alone):
    with alone if pixel_count(example.image) > LARGE_IMAGE else nullcontext():
        try:
            pixels = example.read()
        except OSError as e:
            return _Look(shown(str(e)))
        return _Look(None, pixels.damage, image_fingerprint(pixels.array), pixels.size)


def _problems(parts):
    """Return the readers' problems, each once, and the classes of a split that the first lacks."""
    lines = [problem for data in parts.values() for problem in data.problems]
    (first, known), *others = parts.items()
    there = set(known.class_names)
    for split, data in others:
        if lacking := [name for name in data.class_names if name not in there]:
            more = f" and {len(lacking) - MAX_LINES} more" if len(lacking) > MAX_LINES else ""
            lines.append(f"{split}: has classes that {first} lacks: {', '.join(lacking[:MAX_LINES])}{more}")
    return list(dict.fromkeys(lines))


def _name(split, example, number):
    name = image_name(example, number)
    return f"{split}/{name}" if split else name


def _measured(data, sizes):
    """Return a split's figures: of images and classes, and of boxes in pixels where there are any."""
    figures = {"images": len(data.examples)}
    if sizes:
        sides = np.array(sizes)
        figures |= {name: _spread(sides[:, k]) for k, name in enumerate(("width", "height"))}
    if isinstance(data, ClassificationData):
        counts = np.bincount(LabelTable.of(data.examples).labels, minlength=len(data.class_names)).tolist()
        return figures | {"classes": {name: {"images": counts[k]} for k, name in enumerate(data.class_names)}}
    table = ExampleTable.of(data.examples)
    boxes, labels, counts = table.boxes.astype("float64"), table.labels, table.counts
    owners = np.repeat(np.arange(len(table)), counts)
    extent = boxes[:, 2:] - boxes[:, :2]
    areas = extent.prod(axis=1)
    ends, per_class = np.cumsum(np.bincount(labels, minlength=len(data.class_names))), {}
    for name, of in zip(data.class_names, np.split(np.argsort(labels), ends[:-1]), strict=True):
        spread = {"side": _spread(np.sqrt(areas[of]))} if len(of) else {}
        per_class[name] = {"images": len(set(owners[of].tolist())), "boxes": len(of), **spread}
    return figures | {
        "without_objects": int((counts == 0).sum()),
        "boxes": len(boxes),
        "crowds": len(table.crowd_boxes),
        "most_in_an_image": int(counts.max(initial=0)),
        "small": int((areas < SMALL).sum()),
        "medium": int(((areas >= SMALL) & (areas <= LARGE)).sum()),
        "large": int((areas > LARGE).sum()),
        **({"box_width": _spread(extent[:, 0]), "box_height": _spread(extent[:, 1])} if len(boxes) else {}),
        "classes": per_class,
    }


def _spread(values):
    """Return [least, median, most], to a tenth."""
    ordered = np.sort(values)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return [round(float(value), 1) for value in (ordered[0], median, ordered[-1])]


def _counted(figures):
    text = f"{figures['images']} images"
    if "width" in figures:
        text += f" of {_range(figures['width'])} x {_range(figures['height'])} pixels"
    if "boxes" not in figures:
        return text
    text += f", {figures['without_objects']} without objects, {figures['boxes']} boxes"
    sizes = ", ".join(f"{figures[size]} {size}" for size in ("small", "medium", "large"))
    text += f" ({sizes}; at most {figures['most_in_an_image']} in an image)"
    return f"{text}, {figures['crowds']} regions of crowds" if figures["crowds"] else text


def _figures(row):
    if "boxes" not in row:
        return f"{row['images']:7} images"
    side = f", side {_range(row['side'])} pixels" if "side" in row else ""
    return f"{row['boxes']:7} boxes in {row['images']:6} images{side}"


def _range(spread):
    """Return a spread as text: 3 to 90 (median 12), or the one value."""
    least, median, most = (f"{value:g}" for value in spread)
    return least if least == most else f"{least} to {most} (median {median})"
