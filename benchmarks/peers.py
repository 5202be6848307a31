"""One network of one library in a process of its own, so that threads and memory of several do not interfere.

All do the same: float32, random images and labels in memory, SGD with momentum 0.9, cross-entropy on logits. The Keras
libraries run compiled `fit` and `predict` over a repeated batch, their overhead counted; timm runs the usual loop,
eagerly.
"""

import gc
import importlib.metadata
import multiprocessing
import os
import time
from dataclasses import dataclass

from load import Load

CLASSES = 1000
LEARNING_RATE, MOMENTUM = 1e-3, 0.9
TASKS = ("training", "inference", "building")
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
VERSIONS = {  # each library's packages whose versions matter
    "cspkeras": ("cspkeras", "keras", "tensorflow"),
    "keras-hub": ("keras-hub", "keras", "tensorflow"),
    "keras.applications": ("keras", "tensorflow"),
    "timm": ("timm", "torch"),
    "timm channels_last": ("timm", "torch"),
}


@dataclass(frozen=True)
class Settings:
    """How everything is measured."""

    batch_size: int
    size: int  # side of the images in pixels
    threads: int  # of each library's pool, and cores that a process may use
    seconds: float  # that one measurement takes, about
    clock: str  # one of CLOCKS


class KerasNetwork:
    """A network of cspkeras, keras-hub or keras.applications."""

    def __init__(self, library, name, settings):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
        tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
        import keras

        self.build = self.constructor(library, name, (settings.size, settings.size, 3))
        self.model = self.build()
        self.model.compile(
            keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        images = tf.random.uniform((settings.batch_size, settings.size, settings.size, 3))
        labels = tf.random.uniform((settings.batch_size,), maxval=CLASSES, dtype=tf.int32)
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread, asleep for longer and longer, is waited for at the end of `fit`
        self.batches = tf.data.Dataset.from_tensors((images, labels)).repeat().with_options(options)

    @staticmethod
    def constructor(library, name, shape):
        """A function that builds the network, with random weights and logits as output."""
        options = dict(weights=None, input_shape=shape, classes=CLASSES, classifier_activation=None)
        if library == "cspkeras":
            import cspkeras

            return lambda: getattr(cspkeras, name)(**options)
        if library == "keras.applications":
            import keras

            return lambda: getattr(keras.applications, name)(**options)
        import keras_hub
        from keras_hub.src.utils.timm.convert_cspnet import convert_backbone_config  # what its presets were made by

        config = convert_backbone_config({"architecture": name})
        models = keras_hub.models
        return lambda: models.CSPNetImageClassifier(models.CSPNetBackbone(**config, image_shape=shape), CLASSES)

    def parameters(self):
        return sum(weight.shape.num_elements() for weight in self.model.trainable_weights)

    def training(self, steps):
        self.model.fit(self.batches, steps_per_epoch=steps, verbose=0)

    def inference(self, steps):
        self.model.predict(self.batches, steps=steps, verbose=0)

    def building(self, steps):
        for _ in range(steps):
            self.build()


class TimmNetwork:
    """A network of timm, in either memory layout."""

    def __init__(self, library, name, settings):
        import timm
        import torch

        torch.set_num_threads(settings.threads)
        layout = torch.channels_last if library.endswith("channels_last") else torch.contiguous_format
        self.build = lambda: timm.create_model(name, num_classes=CLASSES).to(memory_format=layout)
        self.model = self.build()
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, momentum=MOMENTUM)
        images = torch.rand(settings.batch_size, 3, settings.size, settings.size)
        self.images = images.to(memory_format=layout)
        self.labels = torch.randint(CLASSES, (settings.batch_size,))
        self.torch = torch

    def parameters(self):
        return sum(parameter.numel() for parameter in self.model.parameters())

    def training(self, steps):
        self.model.train()
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.torch.nn.functional.cross_entropy(self.model(self.images), self.labels).backward()
            self.optimizer.step()

    def inference(self, steps):
        self.model.eval()
        with self.torch.inference_mode():
            for _ in range(steps):
                self.model(self.images)

    def building(self, steps):
        for _ in range(steps):
            self.build()


def serve(pipe, library, name, settings):
    """Build the network, warm it up, report it, then time each task that is requested, until None is."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.threads])
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Keras alone would take a GPU, and XLA with it
    try:
        network = (TimmNetwork if library.startswith("timm") else KerasNetwork)(library, name, settings)
        steps = {task: warm_up(getattr(network, task), settings.seconds) for task in TASKS}
        versions = {package: importlib.metadata.version(package) for package in VERSIONS[library]}
    except ModuleNotFoundError as e:
        pipe.send({"error": f"not installed: {e.name}"})
        return
    except Exception as e:  # a peer's release may break in any way; the other rows are still of use
        pipe.send({"error": f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"})
        return
    pipe.send({"parameters": int(network.parameters()), "versions": versions})
    for task in iter(pipe.recv, None):
        gc.collect()  # what an earlier task has left is not this one's work
        load = Load()
        seconds = timed(getattr(network, task), steps[task], CLOCKS[settings.clock])
        pipe.send((seconds / steps[task], load.others()))


def timed(task, steps, clock):
    start = clock()
    task(steps)
    return clock() - start


def warm_up(task, seconds):
    """Compile and fill the caches; return the steps that take about `seconds`."""
    task(1)
    return max(1, round(seconds / timed(task, 1, time.process_time)))


class Peer:
    """The process of one network, seen from outside.

    Attributes:
        report: what it sent when it was ready: {"parameters", "versions"} or {"error"}.
    """

    def __init__(self, library, name, settings, serve=serve):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, library, name, settings), daemon=True)
        self.process.start()
        theirs.close()
        try:
            self.report = self.pipe.recv()
        except EOFError:
            self.report = {"error": "its process died"}

    def measure(self, task):
        """Time a task, such as one of `TASKS`: seconds per step, and the share of the cores that others used."""
        self.pipe.send(task)
        return self.pipe.recv()

    def close(self):
        if "error" not in self.report:
            self.pipe.send(None)
        self.process.join()
