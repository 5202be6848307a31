"""What a classifier's outputs are: the probabilities of a softmax or of sigmoids, or logits."""

import keras
import numpy as np
from keras import ops

from ..graph import activation_name, call_again, call_of, functional_graph, is_fake_quantization, unwrapped

SOFTMAX, SIGMOID, LOGITS = "softmax", "sigmoid", "logits"
SCORES = SOFTMAX, SIGMOID, LOGITS
ROWS, OTHER_SIDE = 16, 4  # of the numbers that are followed, where the model takes any
DEVIATIONS = 10.0, 1000.0  # theirs; means of them, which some models end in, have smaller ones
TOLERANCE = 1e-2  # in 16-bit floats a softmax doesn't sum to exactly 1
KNOWN = "keras", "cspkeras"  # whose layers with weights give logits but for their activation


def score_kind(model: keras.Model, scores: str | None = None) -> str:
    """Return what a classifier's outputs are, as given, or as its graph shows.

    What follows the last layer with weights is computed for random numbers in place of its outputs: an activation, in
    whatever form, shows in the results.

    Args:
        model: a classifier in Keras, or what `quantize_aware` made of one.
        scores: "softmax", "sigmoid" (probabilities that are independent of each other) or "logits". None: as the graph
            shows.

    Returns:
        One of these names.

    Raises:
        ValueError: for another name, and where the graph doesn't show it.

    Example:
        >>> import keras
        >>> from cspkeras.classification.scores import score_kind
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Softmax()])
        >>> score_kind(model)
        'softmax'
    """
    if scores not in (None, *SCORES):
        raise ValueError(f"scores must be one of {', '.join(SCORES)}. Received: scores={scores!r}")
    if found := scores or _found(model):
        return found
    raise ValueError(
        f"{model.name}: what its scores are does not show in its last layers; say it by scores= (on the command line "
        "--scores): softmax, sigmoid (independent probabilities) or logits"
    )


def in_two(scores, kind):
    """Return the scores of both classes for those of the second alone, (N, 1), and their kind; others as they are."""
    if scores.shape[-1] != 1 or kind == SOFTMAX:
        return scores, kind
    if kind == SIGMOID:
        return ops.concatenate([1 - scores, scores], axis=-1), SOFTMAX
    return ops.concatenate([ops.zeros_like(scores), scores], axis=-1), LOGITS


def classes_of(outputs: int, kind: str) -> int:
    """Return the number of classes of a classifier with so many scores of a kind: two for one, as `in_two`."""
    return 2 if outputs == 1 and kind != SOFTMAX else outputs


def _found(model):
    if (graph := functional_graph(model)) is None:
        return _by_name(model)
    for deviation in DEVIATIONS:
        try:
            ending = _Ending(graph, deviation, np.random.default_rng(0))
            values = ops.convert_to_numpy(ending.value(graph.outputs[0]))
        except Exception:  # a layer of whoever built the model, on numbers that it was not made for
            return None
        if found := _kind(np.asarray(values, "float64")):
            return found
    return None


def _by_name(model):
    """Return what the last layer's activation is called, in a model whose graph can't be followed."""
    last = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    if not isinstance(model, keras.Model):  # of tf-keras
        return {"softmax": SOFTMAX, "sigmoid": SIGMOID}.get(activation_name(unwrapped(last)), LOGITS)
    return None


def _kind(values):
    """Return what numbers are that were logits before; None if they are none of `SCORES`."""
    low, high = values.min(), values.max()
    if not np.isfinite(values).all() or low == high:
        return None
    if low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return SOFTMAX if _sums_to_one(values) else SIGMOID
    return LOGITS if (low < 0 and high > 1) or _sums_to_one(np.exp(np.minimum(values, 1))) else None


def _sums_to_one(values):
    return np.allclose(values.sum(axis=-1), 1, atol=TOLERANCE)


class _Ending:
    """A functional model's tensors where its layers with weights, and its inputs, give random numbers."""

    def __init__(self, graph, deviation, rng, given=None):
        self._graph, self._deviation, self._rng, self._given, self._known = graph, deviation, rng, given, {}

    def value(self, tensor):
        """Return a tensor's numbers, the same each time."""
        if id(tensor) not in self._known:
            self._known[id(tensor)] = self._computed(tensor)
        return self._known[id(tensor)]

    def _computed(self, tensor):
        for place, known in enumerate(self._graph.inputs):
            if tensor is known:
                return self._given(place) if self._given else self._random(tensor)
        call = call_of(tensor)
        operation = unwrapped(call.operation)
        place = next(i for i, output in enumerate(call.output_tensors) if output is tensor)
        if is_fake_quantization(operation):
            return self.value(call.input_tensors[0])
        if (inside := functional_graph(operation)) is not None:
            given = lambda i: self.value(call.input_tensors[i])  # noqa: E731
            return _Ending(inside, self._deviation, self._rng, given).value(inside.outputs[place])
        if hasattr(operation, "quantizers"):  # an activation in several steps, of `quantize_aware`
            return operation.compute(self.value(call.input_tensors[0]), [lambda y: y] * len(operation.quantizers))
        if getattr(operation, "weights", None) and type(operation).__module__.partition(".")[0] in KNOWN:
            activation = getattr(operation, "activation", None)
            numbers = self._random(tensor)
            return activation(numbers) if callable(activation) else numbers
        made = call_again(call, [self.value(x) for x in call.input_tensors], operation)
        return keras.tree.flatten(made)[place]

    def _random(self, tensor):
        shape = [side or (OTHER_SIDE if i else ROWS) for i, side in enumerate(tensor.shape)]
        numbers = self._rng.normal(0, self._deviation, shape)
        return ops.cast(ops.convert_to_tensor(numbers.astype("float32")), tensor.dtype)
