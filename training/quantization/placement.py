"""Where a quantization-aware model rounds: the `FakeQuant` of each operation's output, by what becomes of it in a file.

an output       a scale of its own, except where a batch-norm or a fused activation follows a kernel; tensors that
                are concatenated share one
nothing         max-pooling, padding, slices, nearest resize: they keep their input's scale
"""

import keras

from ...detection.heads import RawHead
from ...graph import followers, inputs_of, operation_of
from .activations import ACTIVATIONS, activation_of
from .equalization import Gated
from .flattening import plain_name
from .kinds import by_channel, kind_of
from .quantizers import FakeQuant

SATURATED_LOGIT = 8.0  # a raw score beyond means 0 or 1, as far as 8 bits go
EQUALIZED = (-1.0, 1.0)  # the range of a value that is multiplied by its gate


class _Range:
    """A range that one or several tensors have: of which `FakeQuant`, once all its users are known."""

    def __init__(self, name, fixed=None):
        self.name, self.fixed, self.leaky, self._made = name, fixed, [], None

    @property
    def quantizer(self):
        if self._made is None:
            self._made = FakeQuant(self.fixed, len(self.leaky), name=f"{self.name}_range")
        return self._made


def placed(model):
    """Return {operation: its output's `FakeQuant`s, each with the options of its call} of the operations that have one.

    `model` is a functional model, as `flattened` gives it.
    """
    after_each = followers(model)
    ranges = {}
    for head in (operation for operation in model.operations if isinstance(operation, RawHead)):
        for scores in _origins(inputs_of(head)[1]):
            ranges[scores] = _Range(scores.name, (-SATURATED_LOGIT, SATURATED_LOGIT))
    leaders = _share_ranges(model, after_each, ranges)
    answers = {origin for x in model.outputs for origin in _origins(x)}
    rows = {}
    for operation in model.operations:
        after = after_each.get(operation, [])
        if not _has_numbers(operation) or _computed_with(operation, after):
            continue
        shared = ranges.get(operation) if activation_of(operation)[0] == "relu_to" else None
        if fixed := _fixed(operation):
            ranges[operation] = _Range(operation.name, fixed)
        range_ = ranges.setdefault(operation, _Range(operation.name))
        options = {} if leaders.get(range_, operation) is operation else {"leads": False}
        if len(after) == 1 and operation not in answers:
            options |= _limits(operation, after[0])
            if kind_of(after[0]).leaky:
                range_ = ranges.setdefault(after[0], _Range(after[0].name))
                options["before"] = len(range_.leaky)
                range_.leaky.append(operation)
        if operation in answers:
            options["tail"] = 0  # the few far values may be the objects
        rows[operation] = [(range_, options)]
        if shared:  # its own range cuts it off, then it takes that of what it is concatenated with
            rows[operation].append((shared, {"leads": False}))
    taken = set()
    for range_ in dict.fromkeys(range_ for row in rows.values() for range_, _ in row):
        range_.name = plain_name(range_.name)
        while range_.name in taken:  # names in other letters may be equally long
            range_.name += "_"
        taken.add(range_.name)
    return {operation: [(range_.quantizer, options) for range_, options in row] for operation, row in rows.items()}


def _fixed(operation):
    name, options = activation_of(operation)
    return (0.0, options[0]) if name == "relu_to" else ACTIVATIONS[name].range


def _has_numbers(operation):
    """Whether an operation's output holds numbers of its own, and not its input's or none at all."""
    tensors = operation.output if isinstance(operation.output, (list, tuple)) else [operation.output]
    pixels = isinstance(operation, keras.layers.InputLayer) and tensors[0].dtype == "uint8"  # which become floats
    floats = pixels or all("float" in x.dtype for x in tensors)
    return floats and not kind_of(operation).passes


def _computed_with(operation, after):
    """Whether an int8 kernel computes an operation and what alone follows it in one step."""
    kind = kind_of(operation)
    if len(after) != 1 or activation_of(operation)[0] != "linear":
        return False
    if kind.kernel and kind_of(after[0]).folds and by_channel(after[0]):
        return True
    return bool(kind.kernel or kind.folds or kind.sums) and _is_fused(after[0])


def _is_fused(operation):
    """Whether an operation is nothing but an activation that kernels apply to their output in the same step."""
    name, _ = activation_of(operation)
    return not getattr(operation, "weights", None) and (ACTIVATIONS[name].fused or name == "relu_to")


def _limits(operation, follower):
    """The smallest and the largest value that matter to what alone follows."""
    if isinstance(follower, Gated) and activation_of(operation)[0] == "linear":
        return dict(zip(("low", "high"), EQUALIZED, strict=True))
    if getattr(follower, "weights", None):
        return {}
    activation = ACTIVATIONS[activation_of(follower)[0]]
    return {end: value for end in ("low", "high") if (value := getattr(activation, end)) is not None}


def _origins(x):
    """The operations whose numbers a tensor holds."""
    operation = operation_of(x)
    if not kind_of(operation).passes:
        return [operation]
    return [origin for y in inputs_of(operation) for origin in _origins(y)]


def _share_ranges(model, followers, ranges):
    """Give tensors that are concatenated one `_Range` in `ranges`; return {`_Range`: the operation that moves it}.

    An input of only one concatenation takes the range of that; in a dense block all take that of the last one.
    """
    leaders = {}
    for operation in reversed(model.operations):
        if not kind_of(operation).joins:
            continue
        range_ = ranges.setdefault(operation, _Range(operation.name))
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
