"""The operations of a .tflite file as LiteRT lists them: their layers, their multiply-adds, integers or floats."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
# Operations with weights, which come in the file's order in XNNPACK's profile too.
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
INTEGERS = {
    "int8": "int8",
    "uint8": "int8",
    "int16": "int16x8",
}  # a precision by the type of what lies between operations


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file; `quantized` if its integers stand for numbers, by a scale."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    quantized: bool


@dataclass(frozen=True)
class Operation:
    """An operation of a file."""

    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def layer(self) -> str:
        """The layer's name in the output tensor's, which the converter names "network/layer/operation;…"."""
        name = self.outputs[0].name if self.outputs else ""
        parts = re.split(r"[/;]", name)
        return parts[1] if len(parts) > 1 else name

    @property
    def in_floats(self) -> bool:
        """Whether it computes in floats: not where it only converts."""
        return self.kind not in CONVERSIONS and any(tensor.dtype.startswith("float") for tensor in self.outputs)

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of a convolution or a product of matrices; 0 for any other operation."""
        count = _MULTIPLY_ADDS.get(self.kind)
        return count(*(tensor.shape for tensor in (*self.inputs, self.outputs[0]))) if count else 0


# Of the shapes of what an operation reads, and of what it makes. Kernels are (filters, height, width, channels).
_MULTIPLY_ADDS: dict[str, Callable[..., int]] = {
    "CONV_2D": lambda x, kernel, *rest: prod(rest[-1]) * prod(kernel[1:]),
    "DEPTHWISE_CONV_2D": lambda x, kernel, *rest: prod(rest[-1]) * prod(kernel[1:3]),
    "TRANSPOSE_CONV": lambda shape, kernel, x, *rest: prod(x) * prod(kernel[:3]),
    "CONV_3D": lambda x, kernel, *rest: prod(rest[-1]) * prod(kernel[:4]),
    "FULLY_CONNECTED": lambda x, kernel, *rest: prod(rest[-1]) * kernel[1],
    "BATCH_MATMUL": lambda x, y, made: prod(made) * (prod(x[-2:]) // made[-2]),
}


@dataclass(frozen=True)
class Graph:
    """A file's operations in the order of execution, and its inputs."""

    operations: tuple[Operation, ...]
    inputs: tuple[Tensor, ...]

    @classmethod
    def from_json(cls, report: dict) -> "Graph":
        """Make it of what `worker.graph` reports."""
        tensors = {
            int(index): Tensor(int(index), name, dtype, tuple(shape), quantized)
            for index, (name, dtype, shape, quantized) in report["tensors"].items()
        }
        unknown = Tensor(-1, "", "", (), False)  # a state inside an operation

        def those(indices):
            return tuple(tensors.get(index, unknown) for index in indices)

        operations = (Operation(kind, those(reads), those(makes)) for kind, reads, makes in report["operations"])
        return cls(tuple(operations), those(report["inputs"]))

    def precision(self) -> str:
        """Tell the precision by what operations read: integers between them, integer weights, or 16-bit weights."""
        between = {*self.inputs, *(tensor for operation in self.operations for tensor in operation.outputs)}
        computing = [o for o in self.operations if o.kind not in (*CONVERSIONS, "CAST")]
        read = [tensor for operation in computing for tensor in operation.inputs]
        activations = Counter(INTEGERS[x.dtype] for x in read if x in between and x.quantized and x.dtype in INTEGERS)
        if activations:
            return activations.most_common(1)[0][0]
        types = {x.dtype for operation in self.operations for x in operation.inputs if operation.kind != "CAST"}
        quantized = {x.dtype for x in read if x.quantized} & set(INTEGERS)
        return "dynamic" if quantized else "float16" if "float16" in types else "float32"

    def float_operations(self) -> tuple[list[Operation], list[Operation]]:
        """Return the operations in floats: those inside, which integer operations follow, and those of the end."""
        before: set[Tensor] = set()  # what an integer operation depends on
        inside, end = [], []
        for operation in reversed(self.operations):
            leads_on = any(tensor in before for tensor in operation.outputs)
            if operation.in_floats:
                (inside if leads_on else end).append(operation)
            elif self._computes_in_integers(operation):
                leads_on = True
            if leads_on:
                before.update(operation.inputs)
        return inside[::-1], end[::-1]

    @staticmethod
    def _computes_in_integers(operation: Operation) -> bool:
        return operation.kind not in CONVERSIONS and any(
            tensor.quantized and tensor.dtype in INTEGERS for tensor in operation.outputs
        )
