"""Speed of the data pipelines beside what one would write without them.

    pip install -e '.[training]' && pip install -r benchmarks/requirements.txt
    python benchmarks/pipelines.py --data VOC --output pipelines.json

* detection: mosaics of four images with boxes, crop, flip and colours, beside PyTorch's DataLoader with a worker per
  core that does the same by albumentations and OpenCV;
* classification: the paper's augmentation, beside OpenCV alone in a thread per core: decoded and resized, nothing else.

All work on the same files and cores and give float32 batches in 0..1, but for OpenCV alone. Each runs in a process of
its own; they take turns, A B A B, so that what else the machine does meets all alike. A figure is the median of the
rounds, a ratio the median of the rounds' ratios, with its range. Counting starts when a pipeline runs and its
buffers are filled.
"""

import argparse
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from load import TOLERATED, Load, Patience, of_children

MOSAIC = {"mosaic": 1.0, "crop": 0.5, "flip": 0.5, "color": 0.5}
WARM = 4  # batches that are not counted
PACKAGES = ("tensorflow", "torch", "albumentations", "opencv-python-headless", "numpy")


@dataclass(frozen=True)
class Settings:
    """The data and sizes that everything is measured on."""

    examples: list  # of cspkeras.training.Example
    class_names: tuple
    sizes: dict  # task: side of the images in pixels
    batch_size: int
    threads: int


def our_detection(settings):
    from cspkeras.training import DetectionData, training_batches

    data, size = DetectionData(settings.examples, settings.class_names), (settings.sizes["detection"],) * 2
    return iter(training_batches(data, size, settings.batch_size, augment=MOSAIC))


def our_classification(settings):
    from cspkeras.training import ClassificationData, LabelledImage, classification_batches

    examples = [LabelledImage(example.image, 0) for example in settings.examples]
    data, size = ClassificationData(examples, settings.class_names), (settings.sizes["classification"],) * 2
    return iter(classification_batches(data, size, settings.batch_size))


class Mosaics:
    """A map-style data set for torch: images with boxes, joined and augmented."""

    def __init__(self, examples, side, length):
        import albumentations as A
        import cv2

        size = (side, side)
        self.examples, self.length = examples, length
        letterbox = A.Sequential(
            [
                A.LongestMaxSize(side, interpolation=cv2.INTER_AREA),
                A.PadIfNeeded(side, side, border_mode=cv2.BORDER_CONSTANT, fill=114),
            ]
        )
        self.transform = A.Compose(
            [
                A.Mosaic(target_size=size, cell_shape=size, fit_mode="cover", fill=114, p=1.0),
                A.OneOrOther(A.RandomResizedCrop(size, (0.3, 1.0), (0.75, 1.333)), letterbox, p=MOSAIC["crop"]),
                A.HorizontalFlip(p=MOSAIC["flip"]),
                A.ColorJitter((0.7, 1.3), (0.7, 1.3), (0.5, 1.5), (-0.05, 0.05), p=MOSAIC["color"]),
            ],
            bbox_params=A.BboxParams(
                "pascal_voc",
                ["labels"],
                min_visibility=0.3,
                min_width=2,
                min_height=2,
                clip=True,
                filter_invalid_bboxes=True,
            ),
        )

    def __len__(self):
        return self.length

    def __getitem__(self, position):
        import cv2
        import torch

        chosen = [position % len(self.examples), *torch.randint(len(self.examples), (3,)).tolist()]
        images = []
        for example in (self.examples[i] for i in chosen):
            image = cv2.cvtColor(cv2.imread(str(example.image)), cv2.COLOR_BGR2RGB)
            images.append({"image": image, "bboxes": example.boxes, "labels": example.labels})
        first, *others = images
        return self.transform(**first, mosaic_metadata=others)


def collate(side, found):
    import numpy as np
    import torch

    images = torch.from_numpy(np.stack([one["image"] for one in found]))
    most = max(1, max(len(one["bboxes"]) for one in found))
    boxes, labels = torch.zeros(len(found), most, 4), torch.full((len(found), most), -1)
    for k, one in enumerate(found):
        boxes[k, : len(one["bboxes"])] = torch.as_tensor(np.array(one["bboxes"]).reshape(-1, 4))
        labels[k, : len(one["labels"])] = torch.as_tensor(np.array(one["labels"]))
    return images, boxes / side, labels


def without_threads(_):
    import cv2

    cv2.setNumThreads(0)  # a worker per core is enough


def torch_detection(settings):
    import torch

    torch.set_num_threads(settings.threads)
    side = settings.sizes["detection"]
    loader = torch.utils.data.DataLoader(
        Mosaics(settings.examples, side, 10**9),
        batch_size=settings.batch_size,
        num_workers=settings.threads,
        collate_fn=partial(collate, side),
        worker_init_fn=without_threads,
        multiprocessing_context="fork",  # what torch does by itself, but in a process that was spawned
    )
    return ((images.permute(0, 3, 1, 2).float().div_(255), *targets) for images, *targets in loader)


def opencv_classification(settings):
    import cv2

    cv2.setNumThreads(0)
    size = (settings.sizes["classification"],) * 2
    paths = itertools.cycle([str(example.image) for example in settings.examples])

    def batch(chosen):
        return [cv2.resize(cv2.imread(path), size) for path in chosen]

    with ThreadPoolExecutor(settings.threads) as threads:
        running = deque()
        while True:
            while len(running) < 2 * settings.threads:
                running.append(threads.submit(batch, list(itertools.islice(paths, settings.batch_size))))
            yield running.popleft().result()


TASKS = {
    "detection": {"cspkeras": our_detection, "torch DataLoader": torch_detection},
    "classification": {"cspkeras": our_classification, "OpenCV alone": opencv_classification},
}


def pin(threads):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def rate(make, settings, seconds):
    """Return a new pipeline's images per second, and the share of the cores that others used meanwhile."""
    load, before = Load(), of_children()
    batches = make(settings)
    for _ in range(WARM):
        next(batches)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += settings.batch_size
    seconds = time.perf_counter() - start
    if hasattr(batches, "close"):
        batches.close()  # its processes end, which makes their time known
    return count / seconds, load.others(of_children() - before)


def measure(task, settings, seconds, rounds, patience):
    """Return {pipeline: [images per second in each round]}, and the loads."""
    context = multiprocessing.get_context("spawn")
    processes = {
        name: ProcessPoolExecutor(1, mp_context=context, initializer=pin, initargs=(settings.threads,))
        for name in TASKS[task]
    }
    rates, loads = {name: [] for name in processes}, []
    for make, process in zip(TASKS[task].values(), processes.values(), strict=True):
        process.submit(rate, make, settings, 0.1).result()  # imports, caches
    for _ in range(rounds):
        for name, process in processes.items():
            work = partial(process.submit, rate, TASKS[task][name], settings, seconds)
            value, load = patience.undisturbed(lambda work=work: work().result())
            rates[name].append(value)
            loads.append(load)
    for process in processes.values():
        process.shutdown()
    return rates, loads


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="detection data as `cspkeras train` takes it")
    parser.add_argument("--images", type=Path, help="the images of a COCO file")
    parser.add_argument("--split", default="train")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--detection-size", type=int, default=416, help="side in pixels")
    parser.add_argument("--classification-size", type=int, default=256, help="side in pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2, help="and cores, and workers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5, help="that each measurement takes")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for a quiet machine, in all")
    parser.add_argument("--output", type=Path, help="JSON file of all that was measured")
    args = parser.parse_args()

    from cspkeras.files import replacing
    from cspkeras.training import read

    data = read(args.data, args.split, images=args.images)
    sizes = {"detection": args.detection_size, "classification": args.classification_size}
    settings = Settings(data.examples, data.class_names, sizes, args.batch_size, args.threads)
    patience, results, loads = Patience(args.patience), {}, []
    print("| pipeline | beside | images/s | ratio |\n|---|---|---|---|", flush=True)
    for task in args.tasks:
        results[task], found = measure(task, settings, args.seconds, args.rounds, patience)
        loads += found
        ours, theirs = results[task].values()
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        speeds = " : ".join(f"{statistics.median(rates):.1f}" for rates in (ours, theirs))
        spread = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"| {task} at {sizes[task]} | {list(TASKS[task])[1]} | {speeds} | {spread} |", flush=True)
    versions = {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}
    machine = f"{platform.machine()}, {args.threads} cores; " + ", ".join(f"{k} {v}" for k, v in versions.items())
    print(
        f"\nOurs : theirs, medians of {args.rounds} rounds; in brackets the range of the rounds' ratios. "
        f"{len(data.examples)} images of {args.data.name}, batches of {args.batch_size}. Other programs used "
        f"{statistics.median(loads):.0%} of the cores, at most {max(loads):.0%}. {machine}."
    )
    if max(loads) > TOLERATED:
        print("The machine was not quiet: these figures are not worth quoting.")
    if args.output:
        with replacing(args.output) as path:
            path.write_text(json.dumps({"machine": machine, "loads": loads, "results": results}, indent=1))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
