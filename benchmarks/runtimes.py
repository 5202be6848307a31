"""A network's file in one runtime, in a process of its own: a `peers.Peer` whose only task is "inference", batch 1."""

import gc
import importlib.metadata
import os
from pathlib import Path

import numpy as np
from load import Load
from peers import CLOCKS, timed, warm_up


class LiteRT:
    """A .tflite, by XNNPACK."""

    packages = ("ai-edge-litert",)

    def __init__(self, path, threads):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        (self.given,) = self.interpreter.get_input_details()
        self.result = self.interpreter.get_output_details()[0]["index"]
        self.image = image(self.given["shape"])
        if self.given["dtype"] != np.float32:
            self.image = (255 * self.image).astype(self.given["dtype"])

    def run(self):
        self.interpreter.set_tensor(self.given["index"], self.image)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.result)


class OnnxRuntime:
    """An .onnx, floats or quantized."""

    packages = ("onnxruntime",)

    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (given,) = self.session.get_inputs()
        self.images = {given.name: channels_first(given.shape)}

    def run(self):
        return self.session.run(None, self.images)[0]


class Ncnn:
    """NAME.ncnn.param and NAME.ncnn.bin, by pnnx out of an .onnx."""

    packages = ("ncnn", "pnnx")

    def __init__(self, path, threads):
        import ncnn

        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        if self.net.load_param(str(path)) or self.net.load_model(str(Path(path).with_suffix(".bin"))):
            raise ValueError(f"{path}: ncnn can't load it")
        self.image = channels_first((1, 3, *side(path)))[0]  # held: ncnn reads numpy's own memory
        self.image = ncnn.Mat(self.image)

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input("in0", self.image)
        return np.array(extractor.extract("out0")[1])


class OpenCV:
    """An .onnx, by OpenCV's DNN."""

    packages = ("opencv-python-headless",)

    def __init__(self, path, threads):
        import cv2

        cv2.setNumThreads(threads)
        self.net = cv2.dnn.readNetFromONNX(str(path))
        self.image = channels_first((1, 3, *side(path)))

    def run(self):
        self.net.setInput(self.image)
        return self.net.forward()


RUNTIMES = {"LiteRT": LiteRT, "ONNX Runtime": OnnxRuntime, "ncnn": Ncnn, "OpenCV DNN": OpenCV}


def image(shape):
    """Return the same noise in 0..1 for all, channels last."""
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def channels_first(shape):
    batch, channels, height, width = shape
    return np.ascontiguousarray(image((batch, height, width, channels)).transpose(0, 3, 1, 2))


def side(path):
    """Return the input's size by the file's name, NAME_SIDE…, for a runtime that doesn't report it."""
    size = int(Path(path).name.split("_")[1].split(".")[0])
    return size, size


def serve(pipe, runtime, path, settings):
    """Load the file, warm it up, report it, then time "inference" at each request, until None is sent."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.threads])
    try:
        network = RUNTIMES.get(runtime, LiteRT)(path, settings.threads)  # others' .tflite go by their names
        output = np.asarray(network.run(), np.float32).reshape(-1)
        versions = {package: importlib.metadata.version(package) for package in network.packages}
    except (ModuleNotFoundError, importlib.metadata.PackageNotFoundError) as e:
        pipe.send({"error": f"not installed: {e.name}"})
        return
    except Exception as e:  # a peer's release may break in any way; the other rows are still of use
        pipe.send({"error": f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"})
        return

    def inference(times):
        for _ in range(times):
            network.run()

    steps = warm_up(inference, settings.seconds)
    pipe.send({"versions": versions, "output": output})
    for _ in iter(pipe.recv, None):
        gc.collect()
        load = Load()
        seconds = timed(inference, steps, CLOCKS[settings.clock])
        pipe.send((seconds / steps, load.others()))
