"""Examples as a few large arrays: quick to send to other processes, which share them."""

import os
from pathlib import Path

import numpy as np

from ..data.examples import Example, LabelledImage


class Columns:
    """A picklable sequence of `Example` or `LabelledImage` that holds what is trained on: images, boxes and labels."""

    def __init__(self, examples):
        images = [example.image for example in examples]
        self._images = _Paths(images) if all(isinstance(image, Path) for image in images) else images
        self._ends = self._boxes = None
        if examples and isinstance(examples[0], LabelledImage):
            self._labels = np.array([example.label for example in examples])
        else:
            self._ends = np.cumsum([0, *(len(example.labels) for example in examples)])
            self._boxes = np.concatenate([example.boxes for example in examples])
            self._labels = np.concatenate([example.labels for example in examples])

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        image = self._images[index]
        if self._ends is None:
            return LabelledImage(image, int(self._labels[index]))
        first, last = self._ends[index : index + 2]
        return Example(image, self._boxes[first:last], self._labels[first:last])


class _Paths:
    def __init__(self, paths):
        names = [os.fsencode(path) for path in paths]
        self._names, self._ends = np.frombuffer(b"".join(names), np.uint8), np.cumsum([0, *map(len, names)])

    def __len__(self):
        return len(self._ends) - 1

    def __getitem__(self, index):
        first, last = self._ends[index : index + 2]
        return Path(os.fsdecode(self._names[first:last].tobytes()))
