"""A few images and their boxes, which small data sets in all formats hold, and what writes and compares them."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "owl")
COLORS = {"cat": (220, 50, 30), "dog": (30, 200, 60), "owl": (40, 60, 220)}
SIZE = WIDTH, HEIGHT = 64, 48
TRUTH = {  # {split: {image: its objects, each with its x1, y1, x2, y2}}
    "train": {
        "frame_000000": (("cat", (4, 6, 24, 30)), ("dog", (30, 10, 58, 40))),
        "frame_000001": (("owl", (0, 0, 16, 12)),),
        "frame_000002": (("dog", (8, 16, 40, 46)), ("owl", (44, 4, 64, 48))),
    },
    "valid": {
        "frame_000003": (("cat", (10, 12, 36, 33)), ("owl", (40, 20, 60, 41))),
        "frame_000004": (("dog", (2, 3, 21, 44)),),
    },
}
ALL = TRUTH["train"] | TRUTH["valid"]
GROUP = "animals"  # of all classes, to Roboflow a category of its own
ROBOFLOW = "_jpg.rf.0a1b2c"  # what it adds to a name


def check(data, split=None):
    """Assert that the images, boxes and classes of a split, or of all, were read without a problem."""
    images = next((TRUTH[known] for known in TRUTH if split and split.lower().startswith(known[:3])), ALL)
    assert not data.problems
    assert sorted({*data.class_names} - {GROUP}) == list(CLASSES)
    assert {name_of(example) for example in data.examples} == set(images) and len(data.examples) == len(images)
    for example in data.examples:
        assert example.size == SIZE
        found = sorted(zip((data.class_names[i] for i in example.labels), example.boxes.tolist(), strict=True))
        expected = images[name_of(example)]
        assert [label for label, _ in found] == [label for label, _ in expected]
        np.testing.assert_allclose([box for _, box in found], [box for _, box in expected], atol=1e-3)


def name_of(example):
    """Return the name that an example's image has in `TRUTH`."""
    return Path(example.image.name).stem.removesuffix(ROBOFLOW).lower()


def drawn(folder, pattern, images=ALL):
    """Write images to their places in a folder; return a (name, objects) for each."""
    for name, objects in images.items():
        draw(folder / pattern.format(name), objects)
    return list(images.items())


def roboflow(folder, inner=""):
    """Write Roboflow's images and the notes that it adds to every export; yield (split, file name, objects)."""
    for name in ("README.dataset.txt", "README.roboflow.txt"):
        put(folder / name, "animals\n==============\n\nThis dataset was exported via roboflow.com\n")
    for split, images in TRUTH.items():
        for name, objects in drawn(folder / split / inner, f"{{}}{ROBOFLOW}.jpg", images):
            yield split, f"{name}{ROBOFLOW}.jpg", objects


def draw(path, objects):
    """Write an image with a rectangle for each object."""
    image = Image.new("RGB", SIZE, (128, 128, 128))
    for label, box in objects:
        image.paste(COLORS[label], box)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def put(path, content):
    """Write a text, or what is to be JSON, into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def put_csv(path, rows):
    """Write rows into a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
