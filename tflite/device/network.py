"""A network of images in a .tflite file: loaded with the settings that the file carries, fed and timed."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import time
import zipfile
from typing import TYPE_CHECKING

import numpy as np

if __package__ or TYPE_CHECKING:
    from .frames import halved, to_input
else:  # as a script
    from frames import halved, to_input

SCRIPTS = dict(detection="detect.py", classification="classify.py")  # by what a file's settings call its task


class Network:
    """A network of images in a .tflite file.

    A subclass says what it accepts: `DEFAULTS`, the settings of a file that carries none, and `ACCEPTED`, the values
    that some settings may have.

    Attributes:
        settings: what the file says of its use.
        labels: the class names, in the order of the network's scores.
        times: the last call's milliseconds: "preprocess", "inference", "postprocess".
    """

    DEFAULTS: dict
    ACCEPTED: dict
    settings: dict
    labels: list[str]
    times: dict[str, float]
    _scores: dict

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int | None = None,
        delegate: str = "cpu",
        labels: list[str] | None = None,
        size: tuple[int, int] | None = None,
    ):
        """Load a file written by `cspkeras.tflite.convert`.

        Args:
            path: the .tflite file.
            threads: cores to run on; None: all.
            delegate: "cpu", "gpu" (the library libtensorflowlite_gpu_delegate.so) or a delegate library's path.
            labels: class names, for a file that carries no settings.
            size: the input's (height, width), for an input that has none.

        Raises:
            OSError: the file can't be read.
            ValueError: it is not a .tflite file, or its settings are missing or not accepted here.
            ImportError: no TFLite runtime is installed.
        """
        self.settings, self.labels = self.read_settings(path, labels)
        self.times = {}
        try:
            self._interpreter = load(path, threads or os.cpu_count(), delegate, size)
            signature = self._interpreter.get_signature_runner()
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(f"{path}: the TFLite runtime refuses it: {error}") from error
        (self._input,) = signature.get_input_details().values()
        self._size = tuple(self._input["shape"][1:3].tolist())
        self._take_outputs(path, signature.get_output_details())
        if len(self.labels) != self._scores["shape"][-1]:
            raise ValueError(f"{path}: {len(self.labels)} labels for scores of {self._scores['shape']}")

    @classmethod
    def read_settings(cls, path: str | os.PathLike[str], labels: list[str] | None = None) -> tuple[dict, list[str]]:
        """Read the settings and class names from the zip archive after the network, or take the defaults.

        Args:
            path: the .tflite file.
            labels: class names; given these, the settings are the defaults.

        Returns:
            The settings and the class names.

        Raises:
            OSError: the file can't be read.
            ValueError: it is not a .tflite file, or its settings are missing or not accepted here.
        """
        with open(path, "rb") as file:
            if (head := file.read(8))[4:] != b"TFL3":
                raise ValueError(f"{path}: not a .tflite file" + (", but an empty one" if not head else ""))
            if labels:
                return cls.DEFAULTS, labels
            try:
                with zipfile.ZipFile(file) as archive:
                    settings = json.loads(archive.read("cspkeras.json"))
                    labels = archive.read("labels.txt").decode().splitlines()
                    given = {**settings, **settings["input"]}
            except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
                message = "carries no cspkeras settings; export it with cspkeras.tflite.convert, or give --labels"
                raise ValueError(f"{path}: {message}") from None
        for key, accepted in cls.ACCEPTED.items():
            if given.get(key) not in accepted:
                script = SCRIPTS.get(str(given.get(key))) if key == "task" else None
                other = f"{script} runs it" if script else f"accepted here: {accepted}"
                raise ValueError(f"{path}: its settings say {key}: {given.get(key)}; {other}")
        return settings, labels

    def _take_outputs(self, path, outputs):
        """Keep the details of the outputs, those of the scores as `_scores`: each subclass does."""

    def prepare(self, image: np.ndarray, video: bool = False) -> tuple[np.ndarray, tuple[int, int], float]:
        """Prepare an image for the network; may be done in another thread while the network works.

        Args:
            image: uint8 RGB array, (height, width, 3), of any size.
            video: whether it is a video's frame, which is shrunk the quick way.

        Returns:
            What `detect` or `classify` takes in place of the image.

        Raises:
            ValueError: it is not such an array.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"needs uint8 (height, width, 3). Received: {image.dtype} {image.shape}")
        start = time.perf_counter()
        small = halved(image, self._size, self.settings["input"]["resize"]) if video else image
        return self._preprocess(small), image.shape[:2], time.perf_counter() - start

    def _preprocess(self, image):
        """An image as the network's input tensor."""
        how, dtype = self.settings["input"], self._input["dtype"]
        values = to_input(image, self._size, how["resize"], how["fill"]).astype(np.float32)
        values -= np.float32(how["mean"])  # in place: fresh memory costs more than the arithmetic
        values *= np.float32(how["scale"])
        scale, zero_point = self._input["quantization"]
        if scale:
            limits = np.iinfo(dtype)
            values = np.clip(np.round(values / np.float32(scale)) + zero_point, limits.min, limits.max)
        return values.astype(dtype, copy=False)[np.newaxis]

    def _run(self, image, read):
        """What `read` makes of the outputs, and of the image's size, for an image or what `prepare` made of it."""
        values, image_size, before = image if isinstance(image, tuple) else self.prepare(image)
        self._interpreter.set_tensor(self._input["index"], values)
        ticks = [time.perf_counter()]
        self._interpreter.invoke()
        ticks.append(time.perf_counter())
        answer = read(image_size)
        ticks.append(time.perf_counter())
        before, inference, after = (1000 * np.array([before, *np.diff(ticks)])).round(3).tolist()
        self.times = {"preprocess": before, "inference": inference, "postprocess": after}
        return answer

    def _raw(self, tensor):
        """An output in the interpreter's own memory, not copied; it may not be held when the network runs again."""
        return self._interpreter.tensor(tensor["index"])()[0]


def load(path, threads, delegate, size):
    """Load a file into an Interpreter, ready to run; `size` (height, width) is for an input that has none."""
    runtime, options = find_runtime(), {}
    if delegate != "cpu":
        library = "libtensorflowlite_gpu_delegate.so" if delegate == "gpu" else delegate
        options["experimental_delegates"] = [runtime.load_delegate(library)]
    interpreter = runtime.Interpreter(str(path), num_threads=threads, **options)
    if size:
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, *size, 3))
    interpreter.allocate_tensors()
    return interpreter


def find_runtime():
    """Import the interpreter module of the TFLite runtime that is installed."""
    packages = ["ai_edge_litert"] + ["tflite_runtime"] * (np.__version__ < "2")  # it was built for NumPy 1
    for package in packages:
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"{package}.interpreter")
    raise ImportError("no TFLite runtime: pip install ai-edge-litert (or tflite-runtime 'numpy<2')")


def dequantize(values, tensor):
    """Return a tensor's raw numbers as float32."""
    scale, zero_point = tensor["quantization"]
    values = values.astype(np.float32, copy=False)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values
