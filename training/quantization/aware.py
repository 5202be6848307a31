"""Quantization-aware training with tensorflow-model-optimization (tfmot): a Keras 3 model in, a tf-keras model out.

tfmot takes functional tf-keras models alone, and of their layers only those that it knows. So the model is translated
first, and every layer gets tfmot's wrapper here with a configuration of ours, by what becomes of it in an int8 file:

    a kernel        a scale a channel
    an output       a scale of its own, but where a batch-norm or a fused activation follows a convolution; what is
                    concatenated shares one
    nothing         pooling by maximum, padding, slices, nearest resize: they keep their input's scale
"""

from math import inf

import keras
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from ...detection.detector import Detector, detect
from ...detection.heads import RawHead
from ...detection.losses import default_loss
from ...graph import activation_name, followers
from ...layers import ChannelSlice, Maxout, Upsample
from .calibration import checked
from .equalization import Gated, equalized
from .flattening import flattened
from .quantizers import UNLIMITED, LayerQuantization, Range, RangeQuantizer, Swish, UnitQuantizer, output_quantizer
from .translation import translate

PASSING = (
    keras.layers.MaxPooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Permute,
    keras.layers.UpSampling2D,
    ChannelSlice,
    Maxout,
    Upsample,
    RawHead,
)
KERNELS = {
    **dict.fromkeys(("Conv2D", "Conv2DTranspose", "Dense", "GroupedConv2D"), "kernel"),
    "DepthwiseConv2D": "depthwise_kernel",
}
FUSED = ("relu", "relu6")  # activations that a convolution's kernel applies in the same breath
BOUNDED = ("sigmoid", "softmax")
SURE = 8.0  # a raw score beyond means 0 or 1, as far as 8 bits go
# Beyond, these activations' inputs change nothing by as much as a step of 8 bits; an equalized value ends by itself.
LIMITS = {"silu": (-8.0, inf), "mish": (-8.0, inf), "hard_silu": (-3.0, inf), "sigmoid": (-8.0, 8.0)}
EQUALIZED = (-1.0, 1.0)


class QuantizedDetector(tf_keras.Model):
    """A `Detector` under quantization-aware training; it trains and detects as its original does."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._mean_loss = tf_keras.metrics.Mean("loss")

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """As `tf_keras.Model.compile`; the default loss is `default_loss`."""
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
        """See `Detector.detect`."""
        return detect(self.predict_on_batch, self.anchors, images, score_threshold, iou_threshold, **options)


def quantize_aware(model, images=None):
    """A tf-keras model that computes as its int8 file will, for training or `calibrate`.

    Args:
        model: a functional or sequential Keras 3 model, which may hold others; a `Detector` gives a
            `QuantizedDetector`. See `flattened` for what becomes of it first.
        images: iterable of input batches, some real images, by which channels of very unequal ranges are found and
            `equalized`; None: they stay.

    Returns:
        A functional tf-keras model with tfmot's fake quantization and the weights of `model`. Its ranges are unset
        until it has been trained or calibrated.

    Raises:
        ValueError: for a layer that can't be quantized, naming it and the way out.
    """
    flat = flattened(model) if images is None else equalized(model, checked(images, model))
    quantizers = _output_quantizers(flat)

    def annotate(layer, operation):
        kernel = KERNELS.get(type(operation).__name__)
        if kernel is None and activation_name(operation) == "silu":
            layer = Swish(name=layer.name)
        # What the translation adds, the input's layer and inner activations, is not of the model.
        output = quantizers[operation] if operation in quantizers else _quantizer(operation, [], Range())
        return tfmot.quantization.keras.QuantizeWrapperV2(layer, LayerQuantization(kernel, output))

    quantized = translate(flat, annotate)
    if isinstance(model, Detector):
        quantized = QuantizedDetector(quantized.inputs, quantized.outputs, name=model.name)
        quantized.anchors = model.anchors
    if hasattr(model, "class_names"):
        quantized.class_names = model.class_names
    return quantized


def calibrate(quantized, images):
    """Set the ranges of a model from `quantize_aware` without training it: post-training quantization.

    Args:
        quantized: the model; its ranges are changed, its weights are not.
        images: iterable of input batches (N, height, width, channels); some dozens of real images, their values
            those that the model takes: 0..1, for a detector or a backbone of ours.

    Returns:
        `quantized`.

    Raises:
        ValueError: where there are no images, or a batch is of another shape, not finite, or out of that range.
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
    """The `RangeQuantizer`s of the layers' outputs."""
    found = map(output_quantizer, quantized.layers)
    return [quantizer for quantizer in found if isinstance(quantizer, RangeQuantizer)]


def unwrap(layer):
    """The layer inside tfmot's wrapper, or the layer itself."""
    return layer.layer if isinstance(layer, tfmot.quantization.keras.QuantizeWrapperV2) else layer


def _output_quantizers(model):
    """{operation: the quantizer of its output, or None}."""
    after_each = followers(model)
    ranges = {scores: Range(SURE) for head in model.operations if isinstance(head, RawHead) for scores in _scores(head)}
    leaders = _share_ranges(model, after_each, ranges)
    answers = {source for x in model.outputs for source in _sources(x)}
    quantizers = {}
    for operation in model.operations:
        range_ = ranges.setdefault(operation, Range())
        after = after_each.get(operation, [])
        options = {}
        if len(after) == 1:
            value = isinstance(after[0], Gated) and activation_name(operation) == "linear"
            options["limits"] = EQUALIZED if value else LIMITS.get(activation_name(after[0]), UNLIMITED)
            if isinstance(after[0], keras.layers.LeakyReLU):
                options["leaky"] = ranges.setdefault(after[0], Range())
        if operation in answers:
            options["tail"] = 0  # the few far values may be the objects
        leads = leaders.get(range_, operation) is operation
        quantizers[operation] = _quantizer(operation, after, range_, leads, **options)
    return quantizers


def _quantizer(operation, following, range_, leads=True, **options):
    """The quantizer of an operation's output, or None where it has no numbers of its own."""
    if isinstance(operation, PASSING):
        return None
    kind, activation = type(operation).__name__, activation_name(operation)
    if kind not in KERNELS and kind != "BatchNormalization":
        return UnitQuantizer() if activation in BOUNDED else RangeQuantizer(range_, leads, **options)
    if activation in FUSED or (activation == "linear" and len(following) == 1 and _fuses(kind, following[0])):
        return None
    return RangeQuantizer(range_, leads, **options)


def _sources(x):
    """The operations whose numbers a tensor holds."""
    operation = x._keras_history.operation
    if not isinstance(operation, PASSING):
        return [operation]
    return [source for y in operation._inbound_nodes[0].input_tensors for source in _sources(y)]


def _scores(head):
    """The operations that give a head's raw scores."""
    return _sources(head._inbound_nodes[0].input_tensors[1])


def _share_ranges(model, followers, ranges):
    """Give all that is concatenated one `Range` in `ranges`; returns {`Range`: the operation that moves it}.

    What goes into one concatenation alone takes its range; in a dense block that is the last concatenation's for all.
    """
    leaders = {}
    for operation in reversed(model.operations):
        if not isinstance(operation, keras.layers.Concatenate):
            continue
        range_ = ranges.setdefault(operation, Range())
        leaders.setdefault(range_, operation)
        for x in operation._inbound_nodes[0].input_tensors:
            for source in _sources(x):
                if len(_concatenations(source, followers)) == 1:
                    ranges[source] = range_
    return leaders


def _concatenations(operation, followers):
    """The concatenations that take an operation's output as it is."""
    found = set()
    for follower in followers.get(operation, []):
        if isinstance(follower, keras.layers.Concatenate):
            found.add(follower)
        elif isinstance(follower, PASSING):
            found |= _concatenations(follower, followers)
    return found


def _fuses(kind, follower):
    """Whether an int8 kernel computes a layer of class `kind` and its follower in one step."""
    following = type(follower).__name__
    if following == "BatchNormalization":
        return kind in KERNELS
    return following not in KERNELS and activation_name(follower) in FUSED
