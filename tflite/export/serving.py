"""What a file computes, as a function for TensorFlow: its inputs and outputs by name, a detector's boxes at its end.

A file's inputs and outputs have the names, types and batch size of the model's, its outputs the keys of a dict. What
Keras named itself is called "image", if it is one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...detection.boxes import decode_boxes, decode_scores
from ...detection.heads import RawHead
from ...graph import fed, functional_graph, is_detector

RAW_PARTS = "boxes", "scores"


@dataclass(frozen=True)
class Serving:
    """A function of tensors, in the order of `inputs`, to {output's name: tensor}."""

    inputs: list[tf.TensorSpec]
    compute: Callable

    def function(self):
        """Return it as a function that TensorFlow traces once, with named inputs."""
        return tf.function(lambda *x: self.compute(list(x)), input_signature=self.inputs, autograph=False)


def serving(model, decode="file", names=None, run=None):
    """Return the `Serving` of a model.

    Args:
        model: a Keras 3 or a tf-keras model with inputs of a known shape.
        decode: of a detector: "file" ends in boxes and scores, "host" in raw ones.
        names: of the outputs of another model; None: the model's own.
        run: a function of a functional model, as `deployed`, that gives a function of its inputs, a flat list of
            tensors, to its outputs; None: the model itself, called.
    """
    run = run or _calling
    if not is_detector(model):
        names, compute = names or output_names(model), run(model)
        return Serving(input_specs(model), lambda x: dict(zip(names, keras.tree.flatten(compute(x)), strict=True)))
    heads = [layer for layer in model.layers if isinstance(layer, RawHead)]
    parts = [part for head in heads for part in head.input]
    compute, depth = run(keras.Model(model.inputs, parts)), model.anchors.objectness + len(model.class_names)
    end = _raw if decode == "host" else _decoded(model.anchors)
    return Serving(input_specs(model), lambda x: end(*_joined(compute(x), depth)))


def _calling(model):
    if functional_graph(model):
        return lambda x: model(fed(model, x), training=False)
    return lambda x: model(x if len(x) > 1 else x[0], training=False)


def _joined(parts, depth):
    boxes = ops.concatenate([ops.reshape(x, (1, -1, 4)) for x in parts[0::2]], axis=1)
    return boxes, ops.concatenate([ops.reshape(x, (1, -1, depth)) for x in parts[1::2]], axis=1)


def _raw(boxes, scores):
    return dict(zip(RAW_PARTS, (boxes, scores), strict=True))


def _decoded(anchors):
    grid, objectness = anchors.grid(), anchors.objectness
    return lambda boxes, scores: _raw(decode_boxes(boxes, grid), decode_scores(scores, objectness))


def reference(model, decode="file", names=None):
    """Return a function of a batch, or a list or dict of one for each input, to {name: array}: a file's outputs."""
    serve = serving(model, decode, names)

    def compute(x):
        if isinstance(x, dict):
            names = [spec.name for spec in serve.inputs]
            if set(names) != set(x):
                raise ValueError(f"{model.name}: its inputs are {', '.join(names)}. Received: {', '.join(x)}")
            x = [x[name] for name in names]
        arrays = x if isinstance(x, list | tuple) else [x]
        if len(arrays) != len(serve.inputs):
            names = ", ".join(spec.name for spec in serve.inputs)
            raise ValueError(f"{model.name}: takes {len(serve.inputs)} inputs, {names}. Received: {len(arrays)}")
        tensors = [ops.convert_to_tensor(a, spec.dtype.name) for a, spec in zip(arrays, serve.inputs, strict=True)]
        return {name: np.asarray(value) for name, value in serve.compute(tensors).items()}

    return compute


def input_specs(model):
    """Return a `tf.TensorSpec` for each input, named and of the model's batch size, or 1."""
    struct = getattr(functional_graph(model) if isinstance(model, keras.Model) else None, "_inputs_struct", None)
    names = sorted(struct) if isinstance(struct, dict) else [_input_name(x, i) for i, x in enumerate(model.inputs)]
    return [
        tf.TensorSpec((x.shape[0] or 1, *x.shape[1:]), _served_type(x.dtype), name)
        for x, name in zip(model.inputs, _unique(names), strict=True)
    ]


def _served_type(dtype):
    name = dtype if isinstance(dtype, str) else dtype.name
    return tf.float32 if "float" in name else tf.as_dtype(name)


def _input_name(x, place):
    if not re.match(r"(input_layer|keras_tensor)(_\d+)?$", x.name):
        return x.name
    return "image" if len(x.shape) == 4 else f"input_{place}"


def output_names(model):
    """Return the names of a model's outputs: the keys of a dict, or those of the layers that give them."""
    graph = functional_graph(model) if isinstance(model, keras.Model) else None
    struct = getattr(graph, "_outputs_struct", None)
    if isinstance(struct, dict) and all(isinstance(key, str) for key in struct):
        return _unique(sorted(struct))  # the order in which Keras flattens a dict
    names = graph.output_names if graph else [f"output_{i}" for i in range(len(model.outputs))]
    return _unique([name.removesuffix("_range").removesuffix("_activation") for name in names])


def _unique(names):
    """Names of letters and digits that TensorFlow takes, each once."""
    made = []
    for name in names:
        name = re.sub(r"[^A-Za-z0-9_]", "_", name)
        name = name if name.strip("_") and not name[0].isdigit() else f"tensor_{name.strip('_')}".rstrip("_")
        made.append(name if name not in made else f"{name}_{len(made)}")
    return made
