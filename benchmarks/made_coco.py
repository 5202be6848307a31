"""A made-up data set of COCO's size and shape, to measure how long large sets take: links to a few images, and a JSON.

    python benchmarks/made_coco.py FOLDER --images 118287 --boxes 861962     # train2017's: a JSON of about 400 MB

It can be read by any program that reads COCO: FOLDER/annotations/instances_train2017.json and FOLDER/train2017.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN2017 = 118_287, 861_962  # images and boxes of COCO's training split
CLASSES = 80
SIZES = (640, 480), (640, 427), (480, 640), (500, 375), (640, 426), (427, 640), (640, 360), (612, 612)  # usual ones
LINKS = 30_000  # to one file; file systems have limits
CORNERS = 19  # of a polygon, on average
CROWDS = 0.01  # share of regions of crowds, whose mask is a text
AT_ONCE = 2_000  # images whose annotations are made and written together


def linked_images(folder, names, seed=0):
    """Make image files that are hard links to a few JPEGs of COCO's sizes.

    Args:
        folder: where they are made; it need not be there yet.
        names: of the files, relative to the folder.
        seed: of the images' content.

    Returns:
        For each name the (width, height) of its image, (N, 2).
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    kinds = max(2 * len(SIZES), -(-len(names) // LINKS))
    for inner in {os.path.dirname(name) for name in names}:
        (folder / inner).mkdir(parents=True, exist_ok=True)
    for i in range(min(kinds, len(names))):
        width, height = SIZES[i % len(SIZES)]
        coarse = Image.fromarray(rng.integers(0, 256, (height // 12, width // 12, 3), "uint8"))
        first = folder / names[i]
        first.unlink(missing_ok=True)
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(first, quality=90)
        for name in names[i + kinds :: kinds]:
            (folder / name).unlink(missing_ok=True)
            os.link(first, folder / name)
    return np.array([SIZES[i % kinds % len(SIZES)] for i in range(len(names))])


def made_coco(folder, images=TRAIN2017[0], boxes=TRAIN2017[1], seed=0, split="train2017"):
    """Make a data set in COCO's layout, with polygons as long as COCO's.

    Args:
        folder: where it is made; it need not be there yet.
        images: number of images, a hundredth of them without objects.
        boxes: number of annotations.
        seed: decides all of it.
        split: name of the part.

    Returns:
        (path of the JSON file, path of the folder of images).
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    names = [f"{number:012}.jpg" for number in range(1, images + 1)]
    sizes = linked_images(folder / split, names, seed)
    weights = rng.gamma(0.9, size=images) * (rng.random(images) > 0.01)
    counts = rng.multinomial(boxes, weights / weights.sum())
    path = folder / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w") as file:
        file.write('{"info": {"description": "made up"}, "licenses": [], "images": ')
        json.dump(
            [_image(i, name, size) for i, (name, size) in enumerate(zip(names, sizes.tolist(), strict=True))], file
        )
        file.write(', "annotations": [')
        number = 0
        for start in range(0, images, AT_ONCE):
            owners = np.repeat(np.arange(start, min(images, start + AT_ONCE)), counts[start : start + AT_ONCE])
            found = _annotations(rng, owners, sizes[owners], number)
            file.write((", " if number and found else "") + json.dumps(found)[1:-1])
            number += len(found)
        names = [{"supercategory": f"group {i // 8}", "id": i + 1, "name": f"class {i + 1}"} for i in range(CLASSES)]
        file.write(f'], "categories": {json.dumps(names)}}}')
    return path, folder / split


def _image(i, name, size):
    return {
        "license": i % 8 + 1,
        "file_name": name,
        "coco_url": f"http://images.cocodataset.org/train2017/{name}",
        "height": size[1],
        "width": size[0],
        "date_captured": "2013-11-14 17:02:52",
        "flickr_url": f"http://farm9.staticflickr.com/8186/{name[2:-4]}_{i:010x}_z.jpg",
        "id": i + 1,
    }


def _annotations(rng, owners, sizes, number):
    """Return the annotations of some images, `owners` (N,) the image of each and `sizes` (N, 2) their sizes."""
    count = len(owners)
    extent = np.maximum(rng.beta(0.7, 2.5, (count, 2)) * sizes, 2)
    corner = rng.random((count, 2)) * (sizes - extent)
    boxes = np.round(np.hstack([corner, extent]), 2)
    corners = 4 + rng.poisson(CORNERS - 4, count)
    ends = np.cumsum(corners)
    angle, reach = rng.random((2, ends[-1] if count else 0))
    of = np.repeat(np.arange(count), corners)
    circle = np.stack([np.cos(angle * 2 * np.pi), np.sin(angle * 2 * np.pi)], axis=1) * np.sqrt(reach)[:, None]
    points = np.round(boxes[of, :2] + (circle + 1) / 2 * boxes[of, 2:], 2).ravel().tolist()
    classes, crowd = rng.integers(1, CLASSES + 1, count), rng.random(count) < CROWDS
    areas = boxes[:, 2:].prod(axis=1) * 0.6
    found = []
    for i in range(count):
        polygon = points[2 * (ends[i] - corners[i]) : 2 * ends[i]]
        size = sizes[i, ::-1].tolist()
        found.append(
            {
                "segmentation": {"counts": [int(v) for v in polygon], "size": size} if crowd[i] else [polygon],
                "area": float(areas[i]),
                "iscrowd": int(crowd[i]),
                "image_id": int(owners[i]) + 1,
                "bbox": boxes[i].tolist(),
                "category_id": int(classes[i]),
                "id": number + i + 1,
            }
        )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=TRAIN2017[0])
    parser.add_argument("--boxes", type=int, default=TRAIN2017[1])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path, images = made_coco(options.folder, options.images, options.boxes, options.seed)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB, images in {images}")


if __name__ == "__main__":
    main()
