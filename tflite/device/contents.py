"""What a .tflite file says of itself: cspkeras' settings after the network, or what can be seen in others' files."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

if __package__ or TYPE_CHECKING:
    from .flatbuffer import Table
    from .labels import check_lengths, parse_labels
    from .limits import MEMORY, read_members
else:  # as a script
    from flatbuffer import Table
    from labels import check_lengths, parse_labels
    from limits import MEMORY, read_members

# TFLite's schema: tensor types and operators by number.
TYPES = ("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8")
SIZES = (4, 2, 4, 1, 8, 1, 1, 2, 8, 1, 8, 16, 8)  # bytes of one number of each type; of others one at least
SCORES = {25: "softmax", 14: "sigmoid"}
UNCHANGED = (6, 22, 43, 114)  # dequantize, reshape, squeeze, quantize: scores stay what they are
DETECTION = "TFLite_Detection_PostProcess"
NORMALIZATION = 1  # NormalizationOptions, among the metadata's process units
LABEL_FILES = (2, 3)  # the metadata's kinds of label files: for an axis, for values
DAMAGED = struct.error, ValueError, IndexError


class Tensor(NamedTuple):
    """An input or output: its number and name, its shape with -1 for what is open, its type's name."""

    number: int
    name: str
    shape: tuple[int, ...]
    type: str

    def __str__(self):
        return f"{self.name} {self.shape} {self.type}"


class Contents(NamedTuple):
    """What is known of a file without settings; nothing, if it can't be read.

    Attributes:
        inputs, outputs: the network's.
        scores: "softmax" or "sigmoid", where its only output comes from such an operation.
        detections: the numbers of the output tensors of a TFLite_Detection_PostProcess: boxes, classes, scores, count.
        classes: how many classes that operation tells apart, the background with them.
        normalization: the pixels' (mean, standard deviation), lists of one or three, by TFLite's metadata.
        labels: the class names that TFLite's metadata name.
    """

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    scores: str | None = None
    detections: tuple[int, ...] = ()
    classes: int = 0
    normalization: tuple[list[float], list[float]] | None = None
    labels: list[str] | None = None


class NoSettingsError(ValueError):
    """A .tflite file carries no settings of cspkeras, or none that say what its input and outputs are."""


def read_settings(path):
    """Read the settings and class names that cspkeras wrote after the network.

    Raises:
        OSError: the file can't be read.
        NoSettingsError: it carries none.
        ValueError: it is not a .tflite file, or its settings are damaged.
    """
    with open(path, "rb") as file:
        if (head := file.read(8))[4:] != b"TFL3":
            raise ValueError(f"{path}: not a .tflite file" + (", but an empty one" if not head else ""))
        try:
            settings, labels = read_members(file, ("cspkeras.json", "labels.txt"))
        except KeyError:
            message = "carries no cspkeras settings; export it with cspkeras.tflite.convert"
            raise NoSettingsError(f"{path}: {message}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    try:
        settings, labels = json.loads(settings), labels.decode().splitlines()
        check_lengths(labels, "labels.txt")
        if settings.get("task") != "other":
            return {**settings, "input": {**settings["input"]}}, labels
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: its cspkeras settings are damaged: {type(error).__name__}: {error}") from None
    raise NoSettingsError(f"{path}: its settings say nothing of its input and outputs; export it with labels")


def check_tensors(path):
    """Raise a ValueError where a tensor claims more than `MEMORY`; damaged parts are left to the runtime."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            tensors = [tensor for graph in Table.root(data).tables(2) for tensor in graph.tables(0)]
            claims = [(_size(tensor), tensor.text(3)) for tensor in tensors]
        except DAMAGED:
            return
    size, name = max(claims, default=(0, ""))
    MEMORY.check(size, f"its tensor {name}")


def _size(tensor):
    """The bytes that a tensor takes as its shape says."""
    return math.prod(tensor.numbers(0)) * [*SIZES, *[1] * 256][tensor.number(1, "<B")]


def look_into(path):
    """Return the `Contents` of a .tflite file of others; damaged parts count as missing."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            model = Table.root(data)
            graph, names = model.tables(2)[0], _signature_names(model)
            inputs, outputs = (_tensors(graph, slot, names) for slot in (1, 2))
            kinds = [_operator_kind(code) for code in model.tables(1)]
            operators = [(kinds[op.number(0)], op.numbers(1), op.numbers(2)) for op in graph.tables(3)]
            found = Contents(inputs, outputs, _scores(operators, outputs), *_detection(graph, operators, outputs))
        except DAMAGED:
            return Contents()
        with contextlib.suppress(*DAMAGED):
            found = found._replace(**_described(model, file))
        return found


def _signature_names(model):
    """The names that the only signature gives to tensors, by their numbers."""
    signatures = model.tables(7)
    maps = [pair for slot in (0, 1) for pair in signatures[0].tables(slot)] if len(signatures) == 1 else []
    return {pair.number(1): pair.text(0) for pair in maps}


def _tensors(graph, slot, names):
    tensors = graph.tables(0)

    def tensor(index):
        found = tensors[index]
        shape, kind = found.numbers(7) or found.numbers(0), found.number(1, "<b")
        return Tensor(index, names.get(index) or found.text(3), tuple(shape), [*TYPES, *["other"] * 99][kind])

    return tuple(tensor(index) for index in graph.numbers(slot))


def _operator_kind(code):
    """A custom operation's name, or another's number; files before 2020 have only the first of its two fields."""
    return code.text(1) or max(code.number(0, "<b"), code.number(3, "<i"))


def _scores(operators, outputs):
    makers = {output: (kind, inputs) for kind, inputs, results in operators for output in results}
    kind, inputs = makers.get(outputs[0].number, (None, ())) if len(outputs) == 1 else (None, ())
    for _ in operators:  # at most, or damaged bytes might lead in a circle
        if kind not in UNCHANGED or not inputs:
            break
        kind, inputs = makers.get(inputs[0], (None, ()))
    return SCORES.get(kind)


def _detection(graph, operators, outputs):
    """The output tensors of the last operation if it is TFLite's detection, and its number of classes."""
    known = {output.number for output in outputs}
    for kind, inputs, results in operators:
        if kind == DETECTION and len(results) == 4 and known >= set(results):
            return tuple(results), graph.tables(0)[inputs[1]].numbers(0)[-1]
    return (), 0


def _described(model, file):
    """What TFLite's metadata say of the input's pixels and of the class names, as fields of `Contents`."""
    found, entries = {}, {entry.text(0): entry.number(1) for entry in model.tables(6)}
    if "TFLITE_METADATA" not in entries:
        return found
    metadata = Table.root(model.tables(4)[entries["TFLITE_METADATA"]].content(0))
    graph = metadata.tables(3)[0]
    for unit in [unit for tensor in graph.tables(2)[:1] for unit in tensor.tables(4)]:
        if unit.number(0, "<B") == NORMALIZATION:
            mean, std = (unit.table(1).numbers(slot, "<f4") for slot in (0, 1))
            if len(mean) in (1, 3) and len(std) in (1, 3) and all(map(math.isfinite, mean + std)) and all(std):
                found["normalization"] = mean, std
    for entry in [entry for tensor in graph.tables(3) for entry in tensor.tables(6)]:
        if entry.number(2, "<b") in LABEL_FILES and not entry.text(3):  # a file of some language comes second
            with contextlib.suppress(KeyError):
                found["labels"] = parse_labels(*read_members(file, [entry.text(0)]), entry.text(0))[0]
    return found
