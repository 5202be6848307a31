"""Quantization-aware training with tensorflow-model-optimization (tfmot): a Keras 3 model in, a tf-keras model out.

tfmot takes functional tf-keras models alone, and of their layers only those that it knows. So the model is flattened
and translated first, and every layer gets tfmot's wrapper here with a configuration of ours, by what becomes of it in
an int8 file; `kinds` says it for each layer class:

    a kernel        a scale per channel
    an output       a scale of its own, except where a batch-norm or a fused activation follows a convolution; tensors
                    that are concatenated share one
    nothing         max-pooling, padding, slices, nearest resize: they keep their input's scale
"""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from ...detection.detector import Detector, detect
from ...detection.heads import RawHead
from ...detection.losses import default_loss
from ...graph import activation_name, followers, inputs_of, operation_of
from .calibration import checked
from .equalization import Gated, equalized
from .flattening import flattened
from .kinds import activation_of, kind_of
from .quantizers import LayerQuantization, Range, RangeQuantizer, UnitQuantizer, output_quantizer
from .translation import translate, twin_class

SATURATED_LOGIT = 8.0  # a raw score beyond means 0 or 1, as far as 8 bits go
EQUALIZED = (-1.0, 1.0)  # the range of a value that is multiplied by its gate


class QuantizedLayer(tfmot.quantization.keras.QuantizeWrapperV2):
    """tfmot's wrapper without AutoGraph, which has nothing to rewrite in it and takes most of the time of tracing."""

    call = tf.autograph.experimental.do_not_convert(tfmot.quantization.keras.QuantizeWrapperV2.call)


class QuantizedDetector(tf_keras.Model):
    """A `Detector` under quantization-aware training; it trains and detects as its original does."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._mean_loss = tf_keras.metrics.Mean("loss")

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Compile as `tf_keras.Model.compile` does; the default loss is `default_loss`."""
        super().compile(optimizer=optimizer, **kwargs)
        self._yolo_loss = loss or default_loss(self.anchors, len(self.class_names))

    @property
    def metrics(self):
        return [self._mean_loss]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        loss = self._yolo_loss(y, y_pred)
        self._mean_loss.update_state(loss)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight):
        return self.get_metrics_result()

    def detect(self, images, score_threshold=0.25, iou_threshold=0.5, **options):
        """Find objects as `Detector.detect` does."""
        return detect(self.predict_on_batch, self.anchors, images, score_threshold, iou_threshold, **options)


def quantize_aware(model: keras.Model, images: Iterable[np.ndarray] | None = None) -> tf_keras.Model:
    """Build a tf-keras model that computes as the model's int8 file will, for training or `calibrate`.

    Args:
        model: a functional or sequential Keras 3 model, which may hold others; it is left as it is. A `Detector` gives
            a `QuantizedDetector`, which detects too.
        images: input batches (N, height, width, channels) of real images, a dozen images in all. Where they show
            channels of very unequal ranges, these are scaled alike, which changes no output. None: no channel is
            scaled.

    Returns:
        A functional tf-keras model with fake quantization and the weights of `model`. Its ranges are unset until it
        has been trained or calibrated.

    Raises:
        ValueError: for a model that is not functional, and for a layer that can't be quantized, naming it and what to
            use instead.

    Example:
        >>> import keras, numpy as np
        >>> from cspkeras.training import calibrate, quantize_aware
        >>> image = keras.Input((32, 32, 3))
        >>> model = keras.Model(image, keras.layers.Conv2D(4, 3, activation="relu")(image))
        >>> quantized = quantize_aware(model)
        >>> images = np.random.default_rng(0).random((8, 32, 32, 3))
        >>> quantized = calibrate(quantized, [images])
        >>> quantized(images).shape
        TensorShape([8, 30, 30, 4])
    """
    flat = flattened(model)
    if images is not None:
        flat = equalized(flat, checked(images, model))
    quantizers = _output_quantizers(flat)

    def annotate(layer, operation):
        kind, activation = kind_of(operation), activation_of(operation)
        if activation.twin and not kind.kernel:
            layer = twin_class(activation.twin)(name=layer.name)
        # What the translation adds, an input's layer and inner activations, are not operations of the model.
        output = quantizers[operation] if operation in quantizers else _quantizer(operation, [], Range())
        quantization = LayerQuantization(kind.kernel, kind.channel_axes, output)
        return QuantizedLayer(layer, quantization)

    quantized = translate(flat, annotate)
    if isinstance(model, Detector):
        quantized = QuantizedDetector(quantized.inputs, quantized.outputs, name=model.name)
        quantized.anchors = model.anchors
    if hasattr(model, "class_names"):
        quantized.class_names = model.class_names
    return quantized


def calibrate(quantized: tf_keras.Model, images: Iterable[np.ndarray]) -> tf_keras.Model:
    """Set the ranges of a model from `quantize_aware` without training it: post-training quantization.

    Args:
        quantized: the model; its ranges are changed, its weights are not.
        images: input batches (N, height, width, channels), some dozens of real images, of the values that the model
            takes: 0..1 for a detector; 0..1, or those of `preprocess_input`, for a backbone of cspkeras.

    Returns:
        `quantized`.

    Raises:
        ValueError: for no images, and for a batch of another shape, with values that are not finite or out of that
            range.

    Example:
        >>> quantized = calibrate(quantize_aware(detector), [images])  # doctest: +SKIP
        >>> quantized.detect(images)  # doctest: +SKIP
    """
    norms = [layer for layer in quantized.layers if isinstance(unwrap(layer), tf_keras.layers.BatchNormalization)]
    trainable = [norm.trainable for norm in norms]
    ranges = {quantizer.range for quantizer in range_quantizers(quantized)}
    step = tf.function(lambda x: quantized(x, training=True), reduce_retracing=True, autograph=False)
    try:
        for norm in norms:
            norm.trainable = False
        for range_ in ranges:
            range_.widens = True
        for batch in checked(images, quantized):
            step(tf.convert_to_tensor(batch, "float32"))
    finally:
        for norm, before in zip(norms, trainable, strict=True):
            norm.trainable = before
        for range_ in ranges:
            range_.widens = False
    return quantized


def range_quantizers(quantized):
    """Return the `RangeQuantizer`s of the layers' outputs."""
    found = map(output_quantizer, quantized.layers)
    return [quantizer for quantizer in found if isinstance(quantizer, RangeQuantizer)]


def unwrap(layer):
    """Return the layer inside tfmot's wrapper, or the layer itself."""
    return layer.layer if isinstance(layer, QuantizedLayer) else layer


def _output_quantizers(model):
    """{operation: the quantizer of its output, or None}."""
    after_each = followers(model)
    heads = [operation for operation in model.operations if isinstance(operation, RawHead)]
    ranges = {scores: Range(SATURATED_LOGIT) for head in heads for scores in _origins(inputs_of(head)[1])}
    leaders = _share_ranges(model, after_each, ranges)
    answers = {origin for x in model.outputs for origin in _origins(x)}
    quantizers = {}
    for operation in model.operations:
        range_ = ranges.setdefault(operation, Range())
        after = after_each.get(operation, [])
        options = {}
        if len(after) == 1:
            value = isinstance(after[0], Gated) and activation_name(operation) == "linear"
            options["limits"] = EQUALIZED if value else activation_of(after[0]).limits
            if kind_of(after[0]).leaky:
                options["leaky"] = ranges.setdefault(after[0], Range())
        if operation in answers:
            options["tail"] = 0  # the few far values may be the objects
        leads = leaders.get(range_, operation) is operation
        quantizers[operation] = _quantizer(operation, after, range_, leads, **options)
    return quantizers


def _quantizer(operation, following, range_, leads=True, **options):
    """The quantizer of an operation's output, or None where it has no numbers of its own."""
    kind, activation = kind_of(operation), activation_of(operation)
    if kind.passes:
        return None
    if not kind.kernel and not kind.folds:
        return UnitQuantizer() if activation.unit else RangeQuantizer(range_, leads, **options)
    linear = activation_name(operation) == "linear"
    if activation.fused or (linear and len(following) == 1 and _fuses(kind, following[0])):
        return None
    return RangeQuantizer(range_, leads, **options)


def _origins(x):
    """The operations whose numbers a tensor holds."""
    operation = operation_of(x)
    if not kind_of(operation).passes:
        return [operation]
    return [origin for y in inputs_of(operation) for origin in _origins(y)]


def _share_ranges(model, followers, ranges):
    """Give tensors that are concatenated one `Range` in `ranges`; return {`Range`: the operation that moves it}.

    An input of only one concatenation takes the range of that; in a dense block all take that of the last one.
    """
    leaders = {}
    for operation in reversed(model.operations):
        if not kind_of(operation).joins:
            continue
        range_ = ranges.setdefault(operation, Range())
        leaders.setdefault(range_, operation)
        for x in inputs_of(operation):
            for origin in _origins(x):
                if len(_concatenations(origin, followers)) == 1:
                    ranges[origin] = range_
    return leaders


def _concatenations(operation, followers):
    """The concatenations that take an operation's output as it is."""
    found = set()
    for follower in followers.get(operation, []):
        if kind_of(follower).joins:
            found.add(follower)
        elif kind_of(follower).passes:
            found |= _concatenations(follower, followers)
    return found


def _fuses(kind, follower):
    """Whether an int8 kernel computes a layer of a `Kind` and its follower in one step."""
    following = kind_of(follower)
    if following.folds:
        return bool(kind.kernel)
    return not following.kernel and activation_of(follower).fused
