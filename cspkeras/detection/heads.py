"""YOLO's detection head: raw boxes and raw scores, apart until the last moment."""

import math

import keras
from keras import layers, ops

OBJECTNESS_PRIOR = 0.01  # so that the first steps are not spent on unlearning objects everywhere


@keras.saving.register_keras_serializable("cspkeras")
class RawHead(layers.Layer):
    """Interleave boxes (N, H, W, A * 4) and scores (N, H, W, A * (1 + C)) to Darknet's (N, H, W, A * (5 + C)).

    Boxes and scores come from convolutions of their own, so that each has a quantization scale of its own in an int8
    file; an exported file takes this layer's inputs. Together the two are exactly the published head's one convolution.

    Args:
        anchors: A, the anchors a cell.
    """

    def __init__(self, anchors, **kwargs):
        super().__init__(**kwargs)
        self.anchors = anchors

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
        return {**super().get_config(), "anchors": self.anchors}


def yolo_head(x, anchors, classes, *, name):
    """1x1 convolutions to the raw head map of one level.

    Args:
        x: KerasTensor (N, H, W, C).
        anchors: anchors a cell.
        classes: number of classes.
        name: prefix of the layers' names.

    Returns:
        KerasTensor (N, H, W, anchors * (5 + classes)).
    """
    prior = math.log(OBJECTNESS_PRIOR / (1 - OBJECTNESS_PRIOR))
    bias = keras.initializers.Constant([prior, *[0.0] * classes] * anchors)
    small = keras.initializers.RandomNormal(stddev=0.01)
    boxes = layers.Conv2D(anchors * 4, 1, kernel_initializer=small, name=f"{name}_boxes")(x)
    scores = layers.Conv2D(
        anchors * (1 + classes), 1, kernel_initializer=small, bias_initializer=bias, name=f"{name}_scores"
    )(x)
    return RawHead(anchors, name=name)([boxes, scores])


HEADS = {"yolo": yolo_head}
