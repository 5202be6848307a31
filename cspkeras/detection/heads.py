"""Detection heads: from a neck's map to a level's raw predictions.

A head is a function of the map, the number of anchors and of classes, options of its own and a name. It ends in a
`RawHead`, so that exported files can take boxes and scores apart.
"""

import json
import math

import keras
from keras import layers, ops

from ..backbones.yolox_darknet import conv3x3
from ..blocks import conv_bn_act
from ..graph import operation_of

PRIOR = 0.01  # initial objectness; without it the first steps would only unlearn objects everywhere
PRIOR_LOGIT = math.log(PRIOR / (1 - PRIOR))


@keras.saving.register_keras_serializable("cspkeras")
class RawHead(layers.Layer):
    """Interleave boxes (N, H, W, A * 4) and scores (N, H, W, A * (1 + C)) to Darknet's (N, H, W, A * (5 + C)).

    Boxes and scores come from separate convolutions, so that each has its own quantization scale in an int8 file;
    exported files end at this layer's inputs. Together the two equal the published head's one convolution.

    Args:
        anchors: A, the number of anchors per cell.
        detector: what else than its graph makes the detector that it belongs to, as JSON; see `remembered`.
    """

    def __init__(self, anchors, detector=None, **kwargs):
        super().__init__(**kwargs)
        self.anchors, self.detector = anchors, detector

    def call(self, inputs):
        boxes, scores = inputs
        height, width = boxes.shape[1:3]
        parts = [ops.reshape(x, (-1, height, width, self.anchors, x.shape[-1] // self.anchors)) for x in inputs]
        channels = boxes.shape[-1] + scores.shape[-1]
        return ops.reshape(ops.concatenate(parts, axis=-1), (-1, height, width, channels))

    def compute_output_shape(self, input_shape):
        boxes, scores = input_shape
        return (*boxes[:-1], boxes[-1] + scores[-1])

    def get_config(self):
        return {**super().get_config(), "anchors": self.anchors, "detector": self.detector}


def remember(heads, about):
    """Let the layers of a detector's raw heads remember a dict that JSON can hold."""
    for head in heads:
        operation_of(head).detector = json.dumps(keras.saving.serialize_keras_object(about))


def remembered(heads):
    """Return what `remember` was given, of KerasTensors of the same heads or of copies: `clone_model` gives no more."""
    ends = [operation_of(head) for head in keras.tree.flatten(heads)]
    about = next((end.detector for end in ends if getattr(end, "detector", None)), None)
    if about is None:
        names = ", ".join(end.name for end in ends)
        raise ValueError(f"a detector's graph must end in its heads. Received: a graph that ends in {names}")
    return json.loads(about)


def yolo_head(x, anchors, classes, *, widened=False, activation="leaky_relu", name):
    """Build YOLO's head of one level: 1x1 convolutions to the raw head map.

    With `widened`, a 3x3 convolution with `activation` to twice as many channels comes first.
    """
    if widened:
        x = conv_bn_act(x, 2 * x.shape[-1], 3, activation=activation, name=f"{name}_conv")
    bias = keras.initializers.Constant([PRIOR_LOGIT, *[0.0] * classes] * anchors)
    small = keras.initializers.RandomNormal(stddev=0.01)
    boxes = layers.Conv2D(anchors * 4, 1, kernel_initializer=small, name=f"{name}_boxes")(x)
    scores = layers.Conv2D(
        anchors * (1 + classes), 1, kernel_initializer=small, bias_initializer=bias, name=f"{name}_scores"
    )(x)
    return RawHead(anchors, name=name)([boxes, scores])


def decoupled_head(x, anchors, classes, *, width=256, depthwise=False, activation="swish", name):
    """Build YOLOX's head of one level (arXiv 2107.08430): one branch for classes, one for boxes and objectness.

    Its convolutions have `width` channels; with `depthwise` the 3x3 ones are depthwise separable.
    """
    if anchors != 1:
        raise ValueError(f"the decoupled head has one prediction per cell. Received: {anchors} anchors per level")
    x = conv_bn_act(x, width, activation=activation, name=f"{name}_stem")
    branches = {}
    for branch in ("classes", "boxes"):
        y = x
        for i in (1, 2):
            y = conv3x3(y, width, depthwise=depthwise, activation=activation, name=f"{name}_{branch}_conv{i}")
        branches[branch] = y

    def predict(branch, channels, part, bias=0.0):
        small, bias = keras.initializers.RandomNormal(stddev=0.01), keras.initializers.Constant(bias)
        options = dict(kernel_initializer=small, bias_initializer=bias, name=f"{name}_{part}")
        return layers.Conv2D(channels, 1, **options)(branches[branch])

    boxes = predict("boxes", 4, "boxes")
    objectness = predict("boxes", 1, "objectness", PRIOR_LOGIT)
    scores = layers.Concatenate(name=f"{name}_scores")(
        [objectness, predict("classes", classes, "classes", PRIOR_LOGIT)]
    )
    return RawHead(anchors, name=name)([boxes, scores])


HEADS = {"yolo": yolo_head, "decoupled": decoupled_head}
