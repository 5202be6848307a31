"""Convert models to .tflite files for phones.

A detector's file takes one image (1, H, W, 3), RGB in 0..1, and returns "boxes" (1, P, 4), centre y, centre x, height
and width as fractions of the input, and "scores" (1, P, C) in 0..1: two tensors, since one would share one quantization
scale. Boxes are decoded inside the file, in floats after the int8 network, or, with `decode="host"`, by what reads it;
suppression is left to the device, since GPU delegates don't support it. Any other model's file returns the model's
outputs unchanged.

Detectors' files, and classifiers' with `labels`, carry the settings that the device's scripts and MediaPipe Tasks'
ObjectDetector and ImageClassifier need.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ...files import replacing
from ...graph import functional_graph, is_detector
from ...training.quantization.aware import is_quantized
from ..runtime import litert
from . import mediapipe, metadata
from .any_model import prepared
from .flatbuffer import pack, shorten_names, unpack
from .integers import check_calibrated, int8_file, wide_file
from .merged_groups import merge_groups
from .other_backend import convert_elsewhere
from .saved_model import to_flatbuffer
from .serving import output_names, reference, serving
from .settings import file_labels, file_settings

if TYPE_CHECKING:
    import tf_keras

__all__ = ["convert", "reference"]

# What inputs and outputs may be, by the file's precision.
IO = {
    "float32": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("float32", "int8", "uint8"),
    "int16x8": ("float32", "int16"),
}
PRECISIONS = tuple(IO)
log = logging.getLogger("cspkeras")


def convert(
    model: keras.Model | tf_keras.Model,
    path: os.PathLike[str] | str,
    precision: str = "float32",
    calibration: Iterable[np.ndarray] | None = None,
    refine_steps: int = 0,
    labels: Sequence[str] | None = None,
    layout: str | None = None,
    *,
    io: str = "float32",
    decode: str = "file",
    size: tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    scale: float | Sequence[float] | None = None,
    scores: str | None = None,
    strict: bool = False,
) -> Path:
    """Write a model as a .tflite file; it is loaded and run before it gets its name.

    Args:
        model: a Keras 3 model of any number of inputs and outputs, possibly in mixed precision, or one from
            `quantize_aware` (int8 only), or a tf-keras model.
        path: the file to write; an existing one is replaced.
        precision: "float32", "float16" (weights), "dynamic" (int8 weights, floats between), "int8" or "int16x8" (int8
            weights, 16 bits between).
        calibration: for "int8" and "int16x8" from a model that was not made by `quantize_aware`: batches of the model's
            input, (N, H, W, 3) in 0..1 for networks of this library, some dozens of real images; of several inputs,
            lists of an array each, or dicts by their names.
        refine_steps: for "int8" from a Keras 3 model: steps of `cspkeras.training.refine` after the calibration, on the
            same images; some hundreds if calibration alone loses accuracy.
        labels: for a classifier: its class names; the file then carries them and its preprocessing. None: the names
            that `cspkeras train` wrote into the model, if any.
        layout: for a classifier, as in `preprocess_input`: "darknet", or "timm" or "torch" for a normalized input.
            None: the model's own, which a file that `model.save` wrote does not say.
        io: the type of inputs and outputs: "float32", for "int8" also "int8" or "uint8", which takes pixels as they
            are, for "int16x8" also "int16".
        decode: for a detector: "file" ends in boxes and scores in floats, "host" in raw ones, in integers where `io`
            says so, which detect.py, the Android demo and the browser page decode.
        size: (height, width), for a model whose input has none.
        mean: for a classifier with labels: its input is (pixel - mean) * scale, of pixels in 0..255; a number, or one
            for each channel. None: as the model's first layers show, or 0..1.
        scale: see mean.
        scores: for a classifier with labels: "softmax", "sigmoid" or "logits"; None: as its last layers show.
        strict: whether a layer that stays in floats in an "int8" file is an error, and not a line in the log.

    Returns:
        The path of the file.

    Raises:
        ValueError: unknown or contradicting options, missing or wrong calibration, a model without a known input size,
            or, with `strict`, layers that stay in floats.
        RuntimeError: TensorFlow can't convert the model, or the written file does not run.
        ModuleNotFoundError: LiteRT is not installed.

    Example:
        >>> model = cspkeras.CSPPeleeNetEFM(classes=3)  # doctest: +SKIP
        >>> cspkeras.tflite.convert(model, "detector.tflite", "float16")  # doctest: +SKIP
        PosixPath('detector.tflite')
    """
    path = Path(path)
    _check_options(precision, io, refine_steps, labels)
    if keras.backend.backend() != "tensorflow" and isinstance(model, keras.Model):
        how = dict(precision=precision, refine_steps=refine_steps, labels=labels, layout=layout, io=io, decode=decode)
        how |= dict(size=size, mean=mean, scale=scale, scores=scores, strict=strict)
        return convert_elsewhere(model, path, calibration, **how)
    named, model = model, prepared(model, size)
    name, names = named.name, None if is_detector(model) else output_names(named if functional_graph(named) else model)
    integers = precision in ("int8", "int16x8")
    if is_quantized(model):
        if precision != "int8":
            raise ValueError(f"a quantization-aware model converts to int8. Received: precision={precision!r}")
        check_calibrated(model)
    elif integers and calibration is None and not _rounds_itself(model):
        raise ValueError(
            f"{precision} needs a model from cspkeras.training.quantize_aware, or calibration images. Received: "
            f"{name}, calibration=None"
        )
    if labels is None or is_detector(model):
        labels = getattr(model, "class_names", None)
    labels = file_labels(model, labels)
    if about := file_settings(model, precision, labels, layout, mean, scale, scores, decode):
        about["model"] = name
    beside: dict[str, Any] = {"weights": dict(origin)} if (origin := getattr(named, "origin", None)) else {}
    litert.require()
    with replacing(path) as aside:  # first, so that a folder that can't be written is reported before the work
        left = []
        if precision == "int8":
            content, left = int8_file(model, names, calibration, refine_steps, io, decode, about)
        elif precision == "int16x8":
            content = wide_file(model, names, calibration, io, decode)
        else:
            content = to_flatbuffer(serving(model, decode, names), name, precision)
        if left:
            _say(model, left, strict)
            beside["float_layers"] = left
        if beside:
            about = {"task": "other", "precision": precision, **(about or {}), **beside}
        aside.write_bytes(_finished(content, about, labels))
        litert.run_cpu(aside)
    return path


def _check_options(precision, io, refine_steps, labels):
    if refine_steps < 0:
        raise ValueError(f"refine_steps must not be negative. Received: refine_steps={refine_steps}")
    if isinstance(labels, str):
        raise ValueError(f"labels must be a list of class names. Received: labels={labels!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}. Received: precision={precision!r}")
    if io not in IO[precision]:
        takes = [name for name, known in IO.items() if io in known]
        other = f'; io="{io}" is for {" and ".join(takes)}' if takes else ""
        raise ValueError(f"io of {precision} must be one of {', '.join(IO[precision])}. Received: io={io!r}{other}")


def _rounds_itself(model):
    """Whether a tf-keras model was made by tensorflow-model-optimization's own quantization-aware training."""
    layers = () if isinstance(model, keras.Model) else model.layers
    return any(type(layer).__name__.startswith("Quantize") for layer in layers)


def _say(model, left, strict):
    """Tell which layers stay in floats and why."""
    text = f"{model.name}: layers that stay in floats, as TFLite or this library has no int8 form of them: "
    text += ", ".join(left)
    if strict:
        raise ValueError(f"{text}; replace them, or leave strict out")
    log.warning(text)


def _finished(content, about, labels):
    """The bytes of the converter's file, made ready for GPUs, small, and told what it is."""
    file = unpack(content)
    merge_groups(file)
    shorten_names(file)
    if about and "input" in about:
        mediapipe.embed(file, about, labels)
    content = pack(file)
    return metadata.attach(content, about, labels or ()) if about else content
