"""What a .tflite file computes in floats: of a file called int8 its ends alone, and what was said to stay so."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..runtime.graph import Graph, Operation

INTEGERS = ("int8", "int16x8")
SMALL = 0.01  # the share of the multiply-adds that the end of a file called int8 may have
LISTED = 5  # operations in a line


@dataclass(frozen=True)
class Floats:
    """What a file computes in floats; QUANTIZE and DEQUANTIZE, which convert, are not counted.

    Attributes:
        operations: the operations in floats.
        all_operations: all of the file's.
        multiply_adds: those of the operations in floats.
        all_multiply_adds: of all convolutions and products of matrices.
        inside: kind and layer of those operations in floats that integer operations follow; the others are the file's
            end, such as a softmax or the decoding of boxes.
        said: the layers of which the file's settings say that they stayed in floats.
    """

    operations: int
    all_operations: int
    multiply_adds: int
    all_multiply_adds: int
    inside: list[str]
    said: list[str]

    @property
    def share(self) -> float:
        """The share of the multiply-adds in floats."""
        return self.multiply_adds / (self.all_multiply_adds or 1)

    def text(self) -> str:
        """Return all of it as a line."""
        text = f"{self.operations} of {self.all_operations} operations, "
        text += f"{self.share:.1%} of {self.all_multiply_adds:,} multiply-adds"
        if self.inside:
            text += f"; {len(self.inside)} of them before operations in integers"
        return f"{text}; said to stay: {', '.join(self.said)}" if self.said else text


def count_floats(graph: Graph, settings: dict) -> Floats:
    """Count what a file computes in floats; of its settings "float_layers" is read."""
    inside, end = graph.float_operations()
    return Floats(
        operations=len(inside) + len(end),
        all_operations=len(graph.operations),
        multiply_adds=_multiply_adds([*inside, *end]),
        all_multiply_adds=_multiply_adds(graph.operations),
        inside=[f"{operation.kind} ({operation.layer})" for operation in inside],
        said=list(settings.get("float_layers") or ()),
    )


def float_faults(floats: Floats, found: str, called: str | None) -> list[str]:
    """Find what a file should not compute in floats, by the precision found and the one that its settings call it."""
    if called in INTEGERS and found not in INTEGERS:
        return [f"floats: its settings call it {called}, but no operation computes in integers: it is {found}"]
    if found not in INTEGERS or floats.said:
        return []
    name, faults = called or found, []
    if floats.inside:
        kinds = Counter(floats.inside)
        listed = [f"{count} x {text}" if count > 1 else text for text, count in kinds.most_common(LISTED)]
        more = [f"{len(kinds) - LISTED} others"] if len(kinds) > LISTED else []
        where = ", ".join(listed + more)
        faults.append(f"floats: inside this {name} file {len(floats.inside)} operations are in floats: {where}")
    if floats.share > SMALL:
        faults.append(f"floats: {floats.share:.0%} of this {name} file's multiply-adds are in floats")
    return faults


def _multiply_adds(operations: Iterable[Operation]) -> int:
    return sum(operation.multiply_adds for operation in operations)
