"""Detection heads: from a neck's map to a level's raw predictions.

A head is a function of the maps {level: KerasTensor}, finest first, the number of anchors of each, the number of
classes, and options of its own. It gives the raw maps, each that of a `RawHead`, so that exported files can take
boxes and scores apart.
"""

import json
import math

import keras
from keras import layers, ops

from ..backbones.yolox_darknet import conv3x3
from ..blocks import activate, conv_bn_act, norm
from ..graph import operation_of

PRIOR = 0.01  # initial objectness; without it the first steps would only unlearn objects everywhere
PRIOR_LOGIT = math.log(PRIOR / (1 - PRIOR))


@keras.saving.register_keras_serializable("cspkeras")
class RawHead(layers.Layer):
    """Interleave boxes (N, H, W, A * 4) and scores (N, H, W, A * (1 + C)) to Darknet's (N, H, W, A * (5 + C)).

    Where the anchors' coding has no objectness, scores are (N, H, W, A * C), and the map (N, H, W, A * (4 + C)).

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


def yolo_head(x, anchors, classes, *, objectness=True, widened=False, activation="leaky_relu", name):
    """Build YOLO's head of one level: 1x1 convolutions to the raw head map.

    `objectness` says whether a prediction has one, as the anchors' coding says. With `widened`, a 3x3 convolution with
    `activation` to twice as many channels comes first.
    """
    if widened:
        x = conv_bn_act(x, 2 * x.shape[-1], 3, activation=activation, name=f"{name}_conv")
    logits = [PRIOR_LOGIT, *[0.0] * classes] if objectness else [PRIOR_LOGIT] * classes
    bias = keras.initializers.Constant(logits * anchors)
    small = keras.initializers.RandomNormal(stddev=0.01)
    boxes = layers.Conv2D(anchors * 4, 1, kernel_initializer=small, name=f"{name}_boxes")(x)
    scores = layers.Conv2D(
        anchors * len(logits), 1, kernel_initializer=small, bias_initializer=bias, name=f"{name}_scores"
    )(x)
    return RawHead(anchors, name=name)([boxes, scores])


def decoupled_head(x, anchors, classes, *, width=256, depthwise=False, activation="swish", name):
    """Build YOLOX's head of one level (arXiv 2107.08430): one branch for classes, one for boxes and objectness.

    Its convolutions have `width` channels; with `depthwise` the 3x3 ones are depthwise separable.
    """
    _check_single("decoupled", [anchors])
    x = conv_bn_act(x, width, activation=activation, name=f"{name}_stem")
    branches = {}
    for branch in ("classes", "boxes"):
        y = x
        for i in (1, 2):
            y = conv3x3(y, width, depthwise=depthwise, activation=activation, name=f"{name}_{branch}_conv{i}")
        branches[branch] = y

    boxes = _prediction(branches["boxes"], 4, name=f"{name}_boxes")
    objectness = _prediction(branches["boxes"], 1, PRIOR_LOGIT, name=f"{name}_objectness")
    scores = layers.Concatenate(name=f"{name}_scores")(
        [objectness, _prediction(branches["classes"], classes, PRIOR_LOGIT, name=f"{name}_classes")]
    )
    return RawHead(anchors, name=name)([boxes, scores])


def shared_head(maps, anchors, classes, *, activation="swish"):
    """Build RTMDet's head (arXiv 2212.07784): a branch for the classes and one for the boxes, without objectness.

    The levels share each branch's two 3x3 convolutions, which keep the maps' channels; each level has its own norms and
    predictions.
    """
    _check_single("shared", anchors)
    widths = {x.shape[-1] for x in maps.values()}
    if len(widths) > 1:
        channels = ", ".join(f"{level} of {x.shape[-1]}" for level, x in maps.items())
        raise ValueError(f"the shared head needs a neck whose maps have equally many channels. Received: {channels}")
    shared = {
        name: layers.Conv2D(*widths, 3, padding="same", use_bias=False, name=f"head_{name}")
        for name in ("classes_conv1", "classes_conv2", "boxes_conv1", "boxes_conv2")
    }
    raw = []
    for level, x in maps.items():
        head, branches = f"head_{level.lower()}", dict.fromkeys(("classes", "boxes"), x)
        for name, convolution in shared.items():
            branch, own = name.partition("_")[0], f"{head}_{name}"
            branches[branch] = activate(norm(convolution(branches[branch]), f"{own}_bn"), activation, f"{own}_act")
        boxes = _prediction(branches["boxes"], 4, name=f"{head}_boxes")
        scores = _prediction(branches["classes"], classes, PRIOR_LOGIT, name=f"{head}_classes")
        raw.append(RawHead(1, name=head)([boxes, scores]))
    return raw


def _check_single(head, anchors):
    if any(number != 1 for number in anchors):
        received = ", ".join(map(str, dict.fromkeys(anchors)))
        raise ValueError(f"the {head} head has one prediction per cell. Received: {received} anchors per level")


def _prediction(x, channels, bias=0.0, *, name):
    """Apply a branch's last convolution, whose outputs begin near `bias`."""
    small, bias = keras.initializers.RandomNormal(stddev=0.01), keras.initializers.Constant(bias)
    return layers.Conv2D(channels, 1, kernel_initializer=small, bias_initializer=bias, name=name)(x)


def _each(build):
    """Return the head that calls `build` for each level."""

    def head(maps, anchors, classes, **options):
        levels = zip(maps.items(), anchors, strict=True)
        return [build(x, each, classes, name=f"head_{level.lower()}", **options) for (level, x), each in levels]

    return head


HEADS = {"yolo": _each(yolo_head), "decoupled": _each(decoupled_head), "shared": shared_head}
