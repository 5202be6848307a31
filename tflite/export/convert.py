"""Convert models to .tflite files for phones.

A detector's file takes one image (1, H, W, 3), RGB in 0..1, and returns "boxes" (1, P, 4), centre y, centre x, height
and width as fractions of the input, and "scores" (1, P, C) in 0..1: two tensors, since one would share one quantization
scale. Boxes are decoded inside the file, in floats after the int8 network; suppression is left to the device, since GPU
delegates don't support it. Any other model's file returns the model's outputs unchanged.

Detectors' files, and classifiers' with `labels`, carry the settings that the device's scripts and MediaPipe Tasks'
ObjectDetector and ImageClassifier need.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...backbones.imagenet import IMAGENET
from ...backbones.timm_layout import LAYOUTS
from ...detection.boxes import decode_boxes, decode_scores
from ...detection.detector import Detector
from ...detection.heads import RawHead
from ...detection.images import FILL
from ...files import replacing
from ...graph import is_detector, keras_of
from ...precision import plain
from ...saving import gives_logits
from ...training.quantization.flattening import flattened
from ..runtime import litert
from . import mediapipe, metadata
from .flatbuffer import pack, shorten_names, unpack
from .merged_groups import merge_groups
from .tensorflow_process import convert_saved_model

if TYPE_CHECKING:
    import tf_keras

PRECISIONS = ("float32", "float16", "dynamic", "int8")


def convert(
    model: keras.Model | tf_keras.Model,
    path: os.PathLike[str] | str,
    precision: str = "float32",
    calibration: Iterable[np.ndarray] | None = None,
    refine_steps: int = 0,
    labels: Sequence[str] | None = None,
    layout: str = "darknet",
) -> Path:
    """Write a model as a .tflite file; it is loaded and run before it gets its name.

    Args:
        model: a Keras 3 model with a fixed input size, possibly in mixed precision, or a model from `quantize_aware`
            (int8 only).
        path: the file to write; an existing one is replaced.
        precision: "float32", "float16" (weights), "dynamic" (int8 weights, floats between) or "int8".
        calibration: for "int8" from a Keras 3 model: batches of the model's input, (N, H, W, 3) in 0..1 for networks of
            this library, some dozens of real images; see `cspkeras.training.calibrate`.
        refine_steps: for "int8" from a Keras 3 model: steps of `cspkeras.training.refine` after the calibration, on the
            same images; some hundreds if calibration alone loses accuracy.
        labels: for a classifier: its class names; the file then carries them and its preprocessing. None: the names
            that `cspkeras train` wrote into the model, if any.
        layout: for a classifier, as in `preprocess_input`: "darknet", or "timm" for a normalized input.

    Returns:
        The path of the file.

    Raises:
        ValueError: unknown precision, missing or wrong calibration, or a model without a fixed input size.
        RuntimeError: TensorFlow can't convert the model, or the written file does not run.
        ModuleNotFoundError: LiteRT is not installed.

    Example:
        >>> model = cspkeras.CSPPeleeNetEFM(classes=3)  # doctest: +SKIP
        >>> cspkeras.tflite.convert(model, "detector.tflite", "float16")  # doctest: +SKIP
        PosixPath('detector.tflite')
    """
    path = Path(path)
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}. Received: precision={precision!r}")
    if None in model.inputs[0].shape[1:]:
        raise ValueError(f"a phone needs a fixed input size. Received: {model.name} with {model.inputs[0].shape}")
    if isinstance(model, keras.Model) and precision == "int8" and calibration is None:
        raise ValueError(
            "int8 needs a model from cspkeras.training.quantize_aware, or calibration images. Received: "
            f"{model.name}, calibration=None"
        )
    if not isinstance(model, keras.Model) and precision != "int8":
        raise ValueError(f"a quantization-aware model converts to int8. Received: precision={precision!r}")
    if labels is None or is_detector(model):
        labels = getattr(model, "class_names", None)
    about = _settings(model, precision, labels, layout)
    litert.require()
    with replacing(path) as aside:  # first, so that a folder that can't be written is reported before the work
        if isinstance(model, keras.Model):
            model = plain(model) if is_detector(model) else flattened(model)
            if precision == "int8":
                model = _quantized(model, calibration, refine_steps)
        file = unpack(_to_flatbuffer(model, precision))
        merge_groups(file)
        shorten_names(file)
        if about:
            mediapipe.embed(file, about, labels)
        content = pack(file)
        if about:
            content = metadata.attach(content, about, labels or ())
        aside.write_bytes(content)
        litert.run_cpu(aside)
    return path


def _quantized(model, calibration, refine_steps):
    from ...training.quantization.aware import calibrate, quantize_aware

    calibration = list(calibration)
    quantized = calibrate(quantize_aware(model, calibration), calibration)
    if not refine_steps:
        return quantized
    from ...training.quantization.refinement import augmented, refine

    return refine(quantized, model, augmented(calibration), refine_steps)


def reference(model):
    """Return a function of a batch (1, H, W, 3) to {name: array}: the file's outputs, computed by Keras."""
    serve = _exported(model)
    return lambda x: {name: np.asarray(value) for name, value in serve(ops.convert_to_tensor(x, "float32")).items()}


def _exported(model):
    """Return the function that the file computes: of a KerasTensor or tf.Tensor to {output's name: tensor}."""
    if not is_detector(model):
        names = [f"output_{i}" for i in range(len(model.outputs))]
        return lambda x: dict(zip(names, keras.tree.flatten(model(x, training=False)), strict=True))
    parts = [part for head in _raw_heads(model) for part in head.input]
    network = keras_of(model).Model(model.inputs, parts)
    grid = model.anchors.grid()

    def serve(x):
        parts = network(x, training=False)
        boxes = ops.concatenate([ops.reshape(b, (1, -1, 4)) for b in parts[0::2]], axis=1)
        depth = 1 + len(model.class_names)
        scores = ops.concatenate([ops.reshape(s, (1, -1, depth)) for s in parts[1::2]], axis=1)
        return {"boxes": decode_boxes(boxes, grid), "scores": decode_scores(scores)}

    return serve


def _raw_heads(model):
    if isinstance(model, Detector):
        return [layer for layer in model.layers if isinstance(layer, RawHead)]
    from ...training.quantization.aware import unwrap

    return [layer for layer in model.layers if isinstance(getattr(unwrap(layer), "operation", None), RawHead)]


def _to_flatbuffer(model, precision):
    serve, shape = _exported(model), (1, *model.inputs[0].shape[1:])
    signature = [tf.TensorSpec(shape, tf.float32, "image")]
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=signature, autograph=False)
    # What it reads alone: saving a tf-keras model would save every layer's functions and the training's variables too.
    module.variables_read = module.serve.get_concrete_function().variables
    with tempfile.TemporaryDirectory() as folder, _without_gradients():
        # Each rounding of a quantized model has a custom gradient; tracing them takes minutes and none is used.
        plain_save = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, folder, signatures=module.serve, options=plain_save)
        try:
            return convert_saved_model(folder, precision)
        except RuntimeError as e:
            raise RuntimeError(f"TensorFlow can't convert {model.name} to {precision} ({e})") from e


@contextmanager
def _without_gradients():
    """Silence TensorFlow's warning that gradients were not saved, which is expected here."""
    logger = logging.getLogger("absl")
    logger.addFilter(_is_other_warning)
    try:
        yield
    finally:
        logger.removeFilter(_is_other_warning)


def _is_other_warning(record):
    return "unsaved custom gradients" not in record.getMessage()


def _settings(model, precision, labels, layout):
    """Return the settings that the file carries; None for a model that is neither a detector nor has labels."""
    height, width = model.inputs[0].shape[1:3]
    how = {"height": height, "width": width, "colors": "RGB", "mean": 0.0, "scale": 1 / 255}
    about = {"model": model.name, "precision": precision}
    if is_detector(model):
        how |= {"resize": "letterbox", "fill": FILL}
        thresholds = {"score_threshold": 0.25, "iou_threshold": 0.5}
        return {"task": "detection", **about, "input": how, "boxes": "cyxhw", **thresholds}
    if labels is None:
        return None
    if len(model.outputs) != 1 or tuple(model.outputs[0].shape[1:]) != (len(labels),):
        shapes = [tuple(output.shape) for output in model.outputs]
        raise ValueError(f"labels name the classes of a classifier. Received: {len(labels)} labels, outputs {shapes}")
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}. Received: layout={layout!r}")
    if layout == "timm":
        mean, deviation = np.array(IMAGENET)
        how |= {"mean": (255 * mean).tolist(), "scale": (1 / (255 * deviation)).tolist()}
    about |= {"scores": "logits" if gives_logits(model) else "probabilities", "score_threshold": 0.0}
    return {"task": "classification", **about, "input": how | {"resize": "crop", "fill": 0}}
