"""What scale.py measures, each a function that has a process to itself; imports are not counted."""

import os
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from unittest.mock import patch

import psutil
from load import of_children

WARM = 2  # batches for each worker, and two more, that are not counted
MOSAIC = {"mosaic": 1.0, "crop": 0.5, "flip": 0.5, "color": 0.5}
NETWORK, CROWDED_SIDE, CROWDED_BATCH = "YOLOXNano", 416, 8
IMAGES_TO_A_CROWD = 32  # one of so many has the crowd's boxes
USUAL_BOXES = 7
EPOCHS = 3  # the first compiles


class Memory:
    """The most memory that this process has held since its start, and its workers together in a block."""

    PAUSE = 0.2  # seconds between two looks at the workers

    def __enter__(self):
        self.most, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self):
        while not self._done.wait(self.PAUSE):
            self.most = max(self.most, held())

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.most += _own_peak()


def held():
    """Return the bytes of memory of all children of this process; what several have is divided among them."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found = process.memory_full_info()
            total += getattr(found, "pss", found.uss)
    return total


def _own_peak():
    try:
        text = Path("/proc/self/status").read_text()  # getrusage's may be that of the process which started this one
        return 1024 * int(text.partition("VmHWM:")[2].split()[0])
    except OSError:
        return 0


def _timed(work):
    start = time.perf_counter()
    with Memory() as memory:
        work()
    return {"seconds": time.perf_counter() - start, "memory": memory.most}


def read(folder, kind):
    """Read a made set as `cspkeras train` does."""
    from cspkeras.training import read

    read(folder, "val", format=kind)  # a small part, which imports what is imported when it is needed
    return _timed(lambda: read(folder, "train", format=kind))


def pycocotools(folder):
    """Read a COCO set's annotations by pycocotools, which looks at no image."""
    from pycocotools.coco import COCO

    return _timed(lambda: COCO(next(Path(folder, "annotations").glob("*train*"))))


def listed(folder):
    """List all files of a set, and do nothing with them."""
    return _timed(lambda: [name for _, _, names in os.walk(Path(folder, "train")) for name in names])


class _FirstBatch(BaseException):
    """Ends a training."""


def first_batch(folder, model, run, size):
    """Start `cspkeras train`; stop when its first batch is there, before the network is traced."""
    import keras

    import cspkeras.training.run.trainer  # noqa: F401
    from cspkeras.commands.main import main

    def arrived(model, dataset, **options):
        next(iter(dataset))
        raise _FirstBatch

    def train(split):
        options = {"--data": folder, "--train-split": split, "--model": model, "--run": run, "--size": size}
        with suppress(_FirstBatch):
            main(["train", "--overwrite", *(str(word) for option in options.items() for word in option)])
            raise RuntimeError("cspkeras train ended without a batch")

    with patch.object(keras.Model, "fit", arrived):
        train("val")  # a small part, for the imports
        return _timed(lambda: train("train"))


def _data(task, folder):
    from cspkeras.training import ClassificationData, LabelledImage, read

    data = read(folder, "train", format="coco")
    if task == "detection":
        return data
    labels = [LabelledImage(example.image, i % len(data.class_names)) for i, example in enumerate(data.examples)]
    return ClassificationData(labels, data.class_names)


def rate(task, folder, side, batch_size, workers, seconds):
    """Measure the batches of a task, mosaics or the paper's classification.

    Returns:
        Images per second; seconds of processor time a batch: of the process that takes them, of it the conversion to
        floats, which its threads do side by side, and of the workers; bytes of memory of all workers, what they share
        divided among them; seconds of processor time of all its children.
    """
    from cspkeras.training import classification_batches, training_batches
    from cspkeras.training.pipeline import dataset

    converting, convert = [], dataset.as_floats

    def timed(images, buffers):
        start = time.thread_time()
        try:
            return convert(images, buffers)
        finally:
            converting.append(time.thread_time() - start)

    dataset.as_floats = timed  # this process measures nothing else
    make = partial(training_batches, augment=MOSAIC) if task == "detection" else classification_batches
    batches = iter(make(_data(task, folder), (side, side), batch_size, workers=workers))

    def used():
        return time.process_time(), sum(converting), of_children()

    for _ in range(WARM * (workers + 1)):
        next(batches)
    count, before, start = 0, used(), time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    elapsed = time.perf_counter() - start
    own, threads, theirs = ((after - then) / count for after, then in zip(used(), before, strict=True))
    speed = count * batch_size / elapsed
    times = {"own": own, "converting": threads, "workers": theirs, "children": of_children()}
    return {"images_per_second": speed, "memory": held()} | times


def crowded(boxes, repeats, folder, seed):
    """Train a detector on images; one in 32 has so many boxes, each other one has seven.

    Returns:
        Images per second, the median of the epochs after the first, which compiles, and the most memory.
    """
    import numpy as np
    from made_coco import linked_images

    from cspkeras import get_detector
    from cspkeras.training import DetectionData, Example, Recipe, fit

    rng, examples = np.random.default_rng(seed), []
    names = [f"{i}.jpg" for i in range(IMAGES_TO_A_CROWD)]
    for name, size in zip(names, linked_images(folder, names, seed), strict=True):
        count = USUAL_BOXES if examples else boxes
        extent = rng.uniform(0.02, 0.3, (count, 2)) * size
        corner = rng.random((count, 2)) * (size - extent)
        found = np.hstack([corner, corner + extent]).astype("float32")
        examples.append(Example(Path(folder, name), found, rng.integers(3, size=count)))
    train, val = (DetectionData(chosen, tuple("abc")) for chosen in (examples * repeats, examples[1:3]))
    model = get_detector(NETWORK, classes=train.class_names, input_shape=(CROWDED_SIDE, CROWDED_SIDE, 3))
    recipe = Recipe(epochs=EPOCHS, batch_size=CROWDED_BATCH, seed=seed)
    with Memory() as memory:
        rows = fit(model, train, val, Path(folder, "run"), recipe, overwrite=True)
    speed = float(np.median([row["images_per_second"] for row in rows[1:]]))
    return {"images_per_second": speed, "memory": memory.most}
