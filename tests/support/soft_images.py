"""Images that look like no other, and a classified data set of them."""

import numpy as np
from PIL import Image

from cspkeras.training import ClassificationData, LabelledImage


def soft_scene(seed, size=(48, 64)):
    """An image of large soft shapes, unlike that of any other seed."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), "uint8")
    return np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))


def soft_parts(folder):
    """Write two splits of classified images into a folder, none like another."""
    made = {}
    for k, split in enumerate(("train", "val")):
        (folder / split).mkdir()
        paths = [folder / split / f"{i}.png" for i in range(8)]
        for i, path in enumerate(paths):
            Image.fromarray(soft_scene(10 * k + i)).save(path)
        made[split] = ClassificationData([LabelledImage(p, i % 2) for i, p in enumerate(paths)], ("cat", "dog"))
    return made
