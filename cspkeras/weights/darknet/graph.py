"""A Darknet network under construction, shared by the builders in `sections`."""

import math
from dataclasses import dataclass, field

import keras
from keras import layers

from ...blocks import ACTIVATIONS as OWN_ACTIVATIONS
from ...blocks import activate
from ...limits import WEIGHTS
from .file import WeightedLayer

MAX_MAP = 1 << 28  # values of one feature map; a larger one is a mistake in the cfg
USUAL_STRIDE = 32  # of a network's last map


@keras.saving.register_keras_serializable("cspkeras")
def hard_mish(x):
    """Apply mish in quadratic pieces: 0 up to -2, then x (x + 2) / 2, and x from 0 on."""
    return x * keras.ops.clip(x + 2, 0, 2) / 2


ACTIVATIONS = {
    "linear": "linear",
    "leaky": "leaky_relu",
    "mish": "mish",
    "swish": "swish",
    "silu": "swish",
    "relu": "relu",
    "relu6": "relu6",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "elu": "elu",
    "selu": "selu",
    "hardtan": "hard_tanh",
    "hard_mish": hard_mish,
    "hard_swish": "hard_swish",
}


def activated(x, section, default, name):
    """Apply the activation that a section names, or `default`."""
    activation = ACTIVATIONS[section.choice("activation", default, ACTIVATIONS)]
    if activation in OWN_ACTIVATIONS:
        return activate(x, activation, f"{name}_act")
    return layers.Activation(activation, name=f"{name}_act")(x)


@dataclass
class Graph:
    """The network so far."""

    image: keras.KerasTensor  # the network's input, KerasTensor (N, H, W, C)
    classifier_activation: object  # replaces a [softmax]
    outputs: list = field(default_factory=list)  # the output of each layer, None for a [yolo], [region] or [softmax]
    weighted: list[WeightedLayer] = field(default_factory=list)  # the layers that hold weights
    weights: int = 0  # the number of their floats
    heads: list = field(default_factory=list)  # the maps that the [yolo] and [region] layers read
    scores: keras.KerasTensor | None = None  # the output of a [softmax], KerasTensor (N, classes)

    def add(self, section, builders):
        """Build the layer of a section after the existing ones."""
        if section.name not in builders:
            known = ", ".join(f"[{name}]" for name in builders)
            raise section.error(f"the section is unknown; known are {known}")
        x = builders[section.name](self, section, f"layer{len(self.outputs)}")
        if x is not None:
            check_map(section, x.shape[1:])
        self.outputs.append(x)

    def previous(self, section):
        """Return the output of the last layer; the image if there is none."""
        return self._output(section, len(self.outputs) - 1) if self.outputs else self.image

    def source(self, section, option, number):
        """Return the output of a layer by its number, from 0; negative numbers count back from the new layer."""
        count = len(self.outputs)
        index = number if number >= 0 else count + number
        if not 0 <= index < count:
            there = f"layers 0 to {count - 1}" if count else "no layers"
            raise section.error(
                f"layer {index} does not exist; {there} come before this one. Received: {option}={number}", option
            )
        return self._output(section, index)

    def _output(self, section, index):
        if self.outputs[index] is None:
            raise section.error(f"layer {index} ends in the network's output, which no layer can read")
        return self.outputs[index]

    def result(self):
        """Return the network's output: a detector's list of maps, a classifier's scores, or the last layer's map."""
        if self.heads:
            return self.heads
        return self.outputs[-1] if self.scores is None else self.scores

    def odd_size(self):
        """Return a hint for an error where halves of the input's size may not fit each other, "" elsewhere."""
        height, width = self.image.shape[1:3]
        if height % USUAL_STRIDE == width % USUAL_STRIDE == 0:
            return ""
        return f"; [net] has {width}x{height} pixels, and most networks take multiples of {USUAL_STRIDE}"

    def weigh(self, section, floats):
        """Count a layer's weights; raise a ValueError if the network becomes too large, before memory is allocated."""
        self.weights += floats
        WEIGHTS.check(self.weights, section.place)


def check_map(section, shape):
    """Raise a ValueError if a feature map is too large."""
    if math.prod(shape) > MAX_MAP:
        raise section.error(f"the feature map {by(shape)} is too large. At most {MAX_MAP:,} values are accepted")


def by(*shapes):
    """Format shapes for an error, as 13x13x255."""
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
