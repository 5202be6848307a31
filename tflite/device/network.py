"""A network of images in a .tflite file: loaded with the settings that the file carries, fed and timed."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if __package__ or TYPE_CHECKING:
    from .contents import NoSettingsError, look_into, read_settings
    from .frames import halved, to_input
    from .interpreter import image_layout, load, output_details, runtime_calls, the_image
else:  # as a script
    from contents import NoSettingsError, look_into, read_settings
    from frames import halved, to_input
    from interpreter import image_layout, load, output_details, runtime_calls, the_image

THRESHOLDS = "score_threshold", "iou_threshold"
SCRIPTS = dict(detection="detect.py", classification="classify.py")  # by what a file's settings call its task


class Network:
    """A network of images in a .tflite file.

    A subclass says which values some settings may have, `ACCEPTED`, which of the `THRESHOLDS` a file must have,
    `NEEDED`, what to take for a file without settings, `_guess`, and keeps its outputs, `_take_outputs`.

    Attributes:
        settings: what the file says of its use, or what is taken instead.
        labels: the class names, in the order of the network's scores.
        times: the last call's milliseconds: "preprocess", "inference", "postprocess".
        notes: lines for people: what had to be guessed.
    """

    ACCEPTED: dict
    NEEDED: tuple[str, ...] = ()
    settings: dict
    labels: list[str]
    times: dict[str, float]
    notes: list[str]

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int | None = None,
        delegate: str = "cpu",
        labels: list[str] | None = None,
        size: tuple[int, int] | None = None,
        *,
        mean: float | list[float] | None = None,
        scale: float | list[float] | None = None,
    ):
        """Load a file written by `cspkeras.tflite.convert`, or another one.

        Args:
            path: the .tflite file.
            threads: cores to run on; None: all.
            delegate: "cpu", "gpu" (the library libtensorflowlite_gpu_delegate.so) or a delegate library's path.
            labels: class names; None: those that the file carries.
            size: the input's (height, width), for an input that has none.
            mean: one number, or one each for red, green and blue: the network's input is (pixel - mean) * scale.
                None: what the file says, or else what the input's type suggests.
            scale: likewise.

        Raises:
            OSError: the file can't be read.
            ValueError: it is not a .tflite file, or its inputs, outputs, settings or labels are not accepted here.
            ImportError: no TFLite runtime is installed.
        """
        self.times, self.notes, self._path = {}, [], path
        own, normalization = True, None
        try:
            self.settings, known = self.read_settings(path)
        except NoSettingsError:
            own = False
        try:
            if not own:
                self.settings, known, normalization = self._look_into(labels, size)
            self.labels = list(labels or known)
            self._interpreter = load(path, threads or os.cpu_count(), delegate, size)
            (self._input,) = self._interpreter.get_input_details()
            self._size = image_layout(self._input["shape"])[0]
            classes = self._take_outputs(output_details(self._interpreter))
            if len(self.labels) != classes:
                raise ValueError(f"{len(self.labels)} labels for {classes} classes{_advice(classes, self.labels)}")
            self._take_range(normalization, not own, mean, scale)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def read_settings(cls, path: str | os.PathLike[str]) -> tuple[dict, list[str]]:
        """Read the settings and class names that cspkeras wrote after the network.

        Args:
            path: the .tflite file.

        Returns:
            The settings and the class names.

        Raises:
            OSError: the file can't be read.
            ValueError: it is not a .tflite file, or its settings are missing or not accepted here.
        """
        settings, labels = read_settings(path)
        for key in ("mean", "scale", "fill"):
            if not are_numbers(value := settings["input"].get(key)):
                raise ValueError(f"{path}: its settings say input.{key}: {value!r}; accepted here: one number or three")
        given = {**settings, **settings["input"]}
        for key, accepted in cls.ACCEPTED.items():
            if given.get(key) not in accepted:
                script = SCRIPTS.get(str(given.get(key))) if key == "task" else None
                other = f"{script} runs it" if script else f"accepted here: {accepted}"
                raise ValueError(f"{path}: its settings say {key}: {given.get(key)}; {other}")
        for key in THRESHOLDS:
            if (key in settings or key in cls.NEEDED) and not are_numbers(value := settings.get(key), (1,), 0, 1):
                raise ValueError(f"{path}: its settings say {key}: {value!r}; accepted here: a number from 0 to 1")
        return settings, labels

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

    def _look_into(self, labels, size):
        """Settings, class names and (mean, std) or None for a file without cspkeras' settings."""
        contents, lacking = look_into(self._path), "carries no cspkeras settings"
        if not contents.inputs:
            raise ValueError(f"{lacking}, and its network is cut off or damaged")
        shape = the_image([(tensor.name, tensor.shape) for tensor in contents.inputs])
        settings, classes = self._guess(contents, image_layout(shape, size)[0])
        if not (known := labels or contents.labels):
            raise ValueError(f"{lacking}{_advice(classes)}, or export it with cspkeras.tflite.convert")
        return settings, known, contents.normalization

    def _guess(self, contents, size):
        """Return settings for a file's `Contents`, and its number of classes; a ValueError says why not."""
        raise NotImplementedError

    def _take_outputs(self, outputs):
        """Keep the outputs' details, given by name; return the number of classes."""
        raise NotImplementedError

    def _take_range(self, normalization, guess, mean, scale):
        """Settle what the pixels become: as given, else as in the settings, or guessed for a file without them."""
        how, given, kind = self.settings["input"], {"mean": mean, "scale": scale}, np.dtype(self._input["dtype"])
        given = {key: value for key, value in given.items() if value is not None}
        if kind.kind not in "fiu":
            raise ValueError(f"its input is of type {kind}, expected floats or integers")
        if guess and kind in (np.uint8, np.int8):  # a step of it is a step of the pixel
            step, zero_point = self._input["quantization"]
            how.update(mean=float(zero_point - np.iinfo(kind).min), scale=step or 1.0)
        elif guess and normalization:
            how.update(mean=normalization[0], scale=[1 / std for std in normalization[1]])
        elif guess and "scale" not in how:
            how.update(mean=0.0, scale=1 / 255)
            if not given:
                others = "0..1 here; another range: --mean, --scale"
                self.notes.append(f"{self._path}: does not say in which range it takes pixels: {others}")
        how.update(given)
        channels = image_layout(self._input["shape"])[1]
        if any(np.size(how[key]) not in (1, channels) for key in ("mean", "scale")):
            raise ValueError(f"its input has {channels} channel{'s' * (channels > 1)}. Received: {given or how}")

    def _preprocess(self, image):
        """An image as the network's input tensor."""
        how, shape = self.settings["input"], tuple(self._input["shape"])
        _, channels, channels_first = image_layout(shape)
        values = to_input(image, self._size, how["resize"], how["fill"])
        if channels == 1:
            values = np.asarray(Image.fromarray(values).convert("L"))[..., np.newaxis]
        values = self._scaled(values)
        if how["colors"] == "BGR":
            values = values[..., ::-1]
        if channels_first:
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(np.broadcast_to(values, shape))  # a batch is the image again and again

    def _scaled(self, values):
        """Pixels as the input's numbers."""
        if self._steps is not None:
            if self._steps.dtype == np.uint8 and (self._steps == np.arange(256)).all():
                return values
            if len(self._steps) == 1:
                return self._steps[0].take(values)
            return np.stack([steps.take(values[..., i]) for i, steps in enumerate(self._steps)], axis=-1)
        how = self.settings["input"]
        values = values.astype(np.float32)
        values -= np.float32(how["mean"])  # in place: fresh memory costs more than the arithmetic
        values *= np.float32(how["scale"])
        return values.astype(self._input["dtype"], copy=False)

    @functools.cached_property
    def _steps(self):
        """What an integer input takes for each value of a pixel, (1 or 3, 256); None: it takes floats."""
        if self._input["dtype"] in (np.float32, np.float16, np.float64):
            return None
        how, limits = self.settings["input"], np.iinfo(self._input["dtype"])
        scale, zero_point = self._input["quantization"]
        mean, factor = (np.reshape(np.float32(how[key]), (-1, 1)) for key in ("mean", "scale"))
        values = (np.arange(256, dtype=np.float32) - mean) * factor / np.float32(scale or 1)
        return np.clip(np.round(values) + zero_point, limits.min, limits.max).astype(limits.dtype)

    def _run(self, image, read):
        """What `read` makes of the outputs, and of the image's size, for an image or what `prepare` made of it."""
        values, image_size, before = image if isinstance(image, tuple) else self.prepare(image)
        with runtime_calls(f"{self._path}: the TFLite runtime can't run it"):
            ticks = [time.perf_counter()]
            self._interpreter.set_tensor(self._input["index"], values)
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


def _advice(classes, labels=()):
    first = f" (of {classes}, the first is often 'background')" if labels and classes == len(labels) + 1 else ""
    return f"; give --labels FILE{f' with {classes} names' * (classes > 0)}{first}"


def are_numbers(value, counts=(1, 3), least=-1e30, most=1e30):
    """Whether a setting is a number, or a list of one of some counts of them, from the least to the most."""
    values = value if isinstance(value, list) else [value]
    return len(values) in counts and all(isinstance(one, (int, float)) and least <= one <= most for one in values)
