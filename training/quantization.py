"""Quantization-aware training with tensorflow-model-optimization (tfmot): a Keras 3 model in, a tf-keras model out.

tfmot takes functional tf-keras models alone, and of their layers only those that it knows. So the model is translated
first, and every layer gets tfmot's wrapper here with a configuration of ours, by what becomes of it in an int8 file:

    a kernel        a scale a channel
    an output       a scale of its own, but where a batch-norm or a fused activation follows a convolution
    nothing         pooling by maximum, padding, slices, nearest resize: they keep their input's scale
"""

import keras
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from ..blocks import Maxout, Upsample
from ..detection.detector import Detector, detect
from ..detection.heads import RawHead
from ..detection.losses import YoloLoss
from .translation import translate

PASSING = (
    keras.layers.MaxPooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Reshape,
    keras.layers.Flatten,
    Maxout,
    Upsample,
    RawHead,
)
KERNELS = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}
FUSED = ("relu", "relu6")  # activations that a convolution's kernel applies in the same breath
BOUNDED = ("sigmoid", "softmax")  # int8 kernels give these with a scale of 1/256, always
RANGE_DECAY = 0.95  # a short run must move the ranges; tfmot's 0.999 wants a thousand steps

_tfmot = tfmot.quantization.keras


class _RangeQuantizer(_tfmot.quantizers.MovingAverageQuantizer):
    """A tensor's range, a moving average that the first batch starts."""

    def __init__(self):
        super().__init__(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)

    def build(self, tensor_shape, name, layer):
        weights = super().build(tensor_shape, name, layer)
        weights["seen"] = layer.add_weight(f"{name}_seen", shape=(), initializer="zeros", trainable=False)
        return weights

    def __call__(self, inputs, training, weights, **kwargs):
        if training:
            keep = RANGE_DECAY * weights["seen"]
            # An int8 range must hold zero.
            low, high = tf.minimum(tf.reduce_min(inputs), 0.0), tf.maximum(tf.reduce_max(inputs), 0.0)
            weights["min_var"].assign(weights["min_var"] * keep + low * (1 - keep))
            weights["max_var"].assign(weights["max_var"] * keep + high * (1 - keep))
            weights["seen"].assign(1.0)
        return super().__call__(inputs, False, weights)


class _UnitQuantizer(_tfmot.quantizers.Quantizer):
    """The range 0 to 255/256."""

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        return tf.quantization.fake_quant_with_min_max_args(inputs, 0.0, 255 / 256)

    def get_config(self):
        return {}


class _KernelQuantizer(_tfmot.quantizers.LastValueQuantizer):
    """A scale a channel for convolutions; one scale for the kernels whose last axis is not the output channel."""

    def __init__(self, per_channel):
        super().__init__(num_bits=8, per_axis=per_channel, symmetric=True, narrow_range=True)

    def build(self, tensor_shape, name, layer):
        return self._add_range_weights(layer, name, self.per_axis, tensor_shape)


@tf_keras.utils.register_keras_serializable("cspkeras")
class LayerQuantization(_tfmot.QuantizeConfig):
    """What is quantized of a layer.

    Args:
        kernel: the kernel's attribute, or None.
        output: "range" for a measured range, "unit" for 0 to 255/256, or None.
    """

    def __init__(self, kernel=None, output=None):
        self.kernel, self.output = kernel, output

    def get_weights_and_quantizers(self, layer):
        if not self.kernel:
            return []
        return [(getattr(layer, self.kernel), _KernelQuantizer(type(layer) is tf_keras.layers.Conv2D))]

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernel:
            setattr(layer, self.kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return {None: [], "range": [_RangeQuantizer()], "unit": [_UnitQuantizer()]}[self.output]

    def get_config(self):
        return {"kernel": self.kernel, "output": self.output}


class QuantizedDetector(tf_keras.Model):
    """A `Detector` under quantization-aware training; it trains and detects as its original does."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._mean_loss = tf_keras.metrics.Mean("loss")

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """As `tf_keras.Model.compile`; the default loss is `YoloLoss`."""
        super().compile(optimizer=optimizer, **kwargs)
        self._yolo_loss = loss or YoloLoss(self.anchors, len(self.class_names))

    @property
    def metrics(self):
        return [self._mean_loss]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        loss = self._yolo_loss(y, y_pred)
        self._mean_loss.update_state(loss)
        return loss

    def detect(self, images, score_threshold=0.25, iou_threshold=0.5):
        """See `Detector.detect`."""
        return detect(self.predict_on_batch, self.anchors, images, score_threshold, iou_threshold)


def quantize_aware(model):
    """A tf-keras model that computes as its int8 file will, for training or `calibrate`.

    Args:
        model: a functional Keras 3 model; a `Detector` gives a `QuantizedDetector`.

    Returns:
        A functional tf-keras model with tfmot's fake quantization and the weights of `model`. Its ranges are unset
        until it has been trained or calibrated.

    Raises:
        ValueError: for a layer that can't be quantized, naming it.
    """
    followers = _followers(model)

    def annotate(layer, operation):
        kernel = KERNELS.get(type(operation).__name__)
        return _tfmot.QuantizeWrapperV2(layer, LayerQuantization(kernel, _output(operation, followers)))

    quantized = translate(model, annotate)
    if isinstance(model, Detector):
        quantized = QuantizedDetector(quantized.inputs, quantized.outputs, name=model.name)
        quantized.anchors, quantized.class_names = model.anchors, model.class_names
    return quantized


def calibrate(quantized, images):
    """Set the ranges of a model from `quantize_aware` without training it: post-training quantization.

    Args:
        quantized: the model; its ranges are changed, its weights are not.
        images: iterable of input batches; some dozens of real pictures.

    Returns:
        `quantized`.

    Raises:
        ValueError: where there are no images.
    """
    norms = [layer for layer in quantized.layers if isinstance(unwrap(layer), tf_keras.layers.BatchNormalization)]
    trainable = [norm.trainable for norm in norms]
    for norm in norms:
        norm.trainable = False
    step = tf.function(lambda x: quantized(x, training=True), reduce_retracing=True)
    count = 0
    for count, batch in enumerate(images, 1):  # noqa: B007
        step(tf.convert_to_tensor(batch, "float32"))
    for norm, before in zip(norms, trainable, strict=True):
        norm.trainable = before
    if not count:
        raise ValueError("calibration needs at least one batch of images; received none")
    return quantized


def unwrap(layer):
    """The layer inside tfmot's wrapper, or the layer itself."""
    return layer.layer if isinstance(layer, _tfmot.QuantizeWrapperV2) else layer


def _followers(model):
    """{operation: the operations that take its output}."""
    followers = {}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for x in node.input_tensors:
                followers.setdefault(x._keras_history.operation, []).append(operation)
    return followers


def _output(operation, followers):
    """How an operation's output is quantized; see `LayerQuantization`."""
    if isinstance(operation, PASSING):
        return None
    kind, activation = type(operation).__name__, _activation(operation)
    if kind not in KERNELS and kind != "BatchNormalization":
        return "unit" if activation in BOUNDED else "range"
    following = followers.get(operation, [])
    if activation in FUSED or (activation == "linear" and len(following) == 1 and _fuses(kind, following[0])):
        return None
    return "range"


def _fuses(kind, follower):
    """Whether an int8 kernel computes a layer of class `kind` and its follower in one step."""
    following = type(follower).__name__
    if following == "BatchNormalization":
        return kind in KERNELS
    return following not in KERNELS and _activation(follower) in FUSED


def _activation(operation):
    """The name of the activation that an operation is or ends in."""
    kind = type(operation).__name__
    if kind == "ReLU":
        return {None: "relu", 6.0: "relu6"}.get(operation.max_value, "linear")
    if kind == "Softmax":
        return "softmax"
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", "linear")
