"""Darknet's ways to lead a feature map past a layer: a slice of its channels, an addition to a map of another size."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("cspkeras")
class ChannelSlice(layers.Layer):
    """The channels `start` to `stop` of a feature map.

    Args:
        start: the first channel.
        stop: the channel behind the last one.
    """

    def __init__(self, start, stop, **kwargs):
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def build(self, input_shape):
        if not 0 <= self.start < self.stop <= input_shape[-1]:
            raise ValueError(
                f"the channels {self.start} to {self.stop} must lie in the input's. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, x):
        return x[..., self.start : self.stop]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.stop - self.start)

    def get_config(self):
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable("cspkeras")
class Shortcut(layers.Layer):
    """A residual addition `x + other` where `other` may have another number of channels or a higher resolution.

    As in Darknet: of a larger map every `strides`-th row and column is taken; where the channels differ in number, the
    first ones are added and those of `x` beyond them stay as they are. (ResNet's "option A", which needs no weights.)

    Args:
        strides: by how much `other` is larger than `x`, in height and width alike.
    """

    def __init__(self, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.strides = strides

    def call(self, inputs):
        x, other = inputs
        if self.strides > 1:
            other = other[:, :: self.strides, :: self.strides]
        missing = x.shape[-1] - other.shape[-1]
        if missing > 0:
            other = ops.pad(other, ((0, 0), (0, 0), (0, 0), (0, missing)))
        return x + other[..., : x.shape[-1]]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "strides": self.strides}
