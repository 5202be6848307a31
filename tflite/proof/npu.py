"""Prove a .tflite file on an NPU: Arm's open compiler for Ethos-U, Vela, says what the NPU takes and how long it works.

Vela runs in a process of its own, since a file can end it. What it leaves to the CPU is read from the file that it
makes, and why from what it prints.
"""

import csv
import os
import re
import shutil
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ...files import scratch
from ..runtime.graph import Graph, Operation
from ..runtime.litert import LiteRTError, read_graph, require_tflite, run_process

# Families of NPUs and the multiply-adds that each does in a cycle.
FAMILIES = {"ethos-u55": (32, 64, 128, 256), "ethos-u65": (256, 512), "ethos-u85": (128, 256, 512, 1024, 2048)}
NPUS = tuple(f"{family}-{width}" for family, widths in FAMILIES.items() for width in widths)
PACKAGE = "ethos-u-vela"
ON_NPU = "ethos-u"  # the operation that Vela makes of those that the NPU takes
REFUSED = re.compile(
    r"^Warning \(supported operators\) operator: (\S+), ofm: '(.*)'\nReason: (.*(?:\n(?!Warning).+)*)", re.M
)
TENSOR = re.compile(r"(DataType \w+) \([^()]*\)")  # its type, and its name, by which alone reasons may differ


@dataclass(frozen=True)
class Left:
    """An operation that stays on the CPU.

    Attributes:
        kind: of the operation, such as "DEQUANTIZE".
        layer: the layer that it belongs to.
        reason: what the compiler says; several lines have "; " between them.
    """

    kind: str
    layer: str
    reason: str


@dataclass(frozen=True)
class NPU:
    """What an NPU takes of a .tflite file, and the compiler's estimate for that part.

    Attributes:
        name: the NPU, one of `NPUS`.
        compiler: its name and version.
        system: the memories that the estimate is for, by the compiler's names.
        operations: of the file.
        npu_operations: those that the NPU takes.
        multiply_adds: of the file's convolutions and products of matrices.
        npu_multiply_adds: those that the NPU takes.
        left: what stays on the CPU, in the file's order.
        milliseconds: the estimate of a run.
        cycles: the same in the NPU's cycles.
        sram_bytes: of the NPU's fast memory.
        dram_bytes: of DRAM.
        flash_bytes: of flash, inside the chip and outside.
    """

    name: str
    compiler: str
    system: str
    operations: int
    npu_operations: int
    multiply_adds: int
    npu_multiply_adds: int
    left: list[Left]
    milliseconds: float
    cycles: int
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int

    @property
    def share(self) -> float:
        """The share of the operations that the NPU takes."""
        return self.npu_operations / (self.operations or 1)

    @property
    def multiply_add_share(self) -> float:
        """The share of the multiply-adds that the NPU takes."""
        return self.npu_multiply_adds / self.multiply_adds if self.multiply_adds else self.share

    def rows(self) -> list[tuple[str, str]]:
        """Return all of it as rows of a table: head and text."""
        taken = f"{self.share:.1%} of {self.operations} operations, {self.multiply_add_share:.1%} of the multiply-adds"
        memories = {"SRAM": self.sram_bytes, "DRAM": self.dram_bytes, "flash": self.flash_bytes}
        memory = ", ".join(f"{size / 1024:,.0f} KiB {name}" for name, size in memories.items() if size)
        estimate = f"estimate: {self.milliseconds:.3g} ms, {self.cycles:,} cycles, {memory}"
        rows = [("NPU", f"{self.name}: {taken}"), ("", f"{self.compiler} for {self.system}")]
        rows += [("", estimate)] if self.npu_operations else []
        reasons: dict[str, list[str]] = {}
        for left in self.left:
            reasons.setdefault(TENSOR.sub(r"\1", left.reason.split("; ")[0]), []).append(left.kind)
        lines = [f"{', '.join(_counted(kinds))}: {reason}" for reason, kinds in reasons.items()]
        return rows + [("left on the CPU" if i == 0 else "", line) for i, line in enumerate(lines)]

    def to_json(self) -> dict:
        """Return all of it as a plain dictionary."""
        return asdict(self) | {"share": self.share, "multiply_add_share": self.multiply_add_share}


def _counted(names: list[str]) -> list[str]:
    return [f"{count} x {name}" for name, count in Counter(names).most_common()]


def check_npu(path: os.PathLike[str] | str, npu: str, timeout: float = 600) -> NPU:
    """Compile a .tflite file for an NPU and return what it takes; nothing is kept of the compiled file.

    Args:
        path: the file, not necessarily of this library.
        npu: "ethos-u55-128", "ethos-u65-256", "ethos-u85-256" or another of `NPUS`; the number is that of
            multiply-adds in a cycle.
        timeout: seconds that the compiler may take.

    Returns:
        An `NPU`.

    Raises:
        ValueError: `npu` is unknown.
        ModuleNotFoundError: the compiler, the package ethos-u-vela, is not installed.
        LiteRTError: the file is not a .tflite, or the compiler fails on it.

    Example:
        >>> found = check_npu("detector.tflite", "ethos-u65-256")  # doctest: +SKIP
        >>> found.share, found.left  # doctest: +SKIP
        (1.0, [])
    """
    require(npu)
    require_tflite(path)
    with scratch() as folder:
        source, compiled = Path(folder, "model.tflite"), Path(folder, "model_vela.tflite")
        shutil.copyfile(path, source)  # under a name that any compiler takes
        command = [sys.executable, "-P", "-m", "ethosu.vela", str(source), "--accelerator-config", npu]
        log, end = run_process([*command, "--output-dir", folder], timeout)
        if end or not compiled.exists():
            raise LiteRTError(f"{path}: {PACKAGE} cannot compile it for {npu} ({_why(log, end)})")
        whole, rest = read_graph(source, timeout), read_graph(compiled, timeout)
        (summary,) = Path(folder).glob("model_summary_*.csv")
        with open(summary, newline="") as file:
            (row,) = csv.DictReader(file)
    left, taken = _parted(whole, rest)
    sizes = {name: round(1024 * float(row[f"{name}_memory_used"])) for name in ("sram", "dram")}
    flash = sum(float(row[f"{place}_chip_flash_memory_used"]) for place in ("on", "off"))
    reasons = {output: "; ".join(reason.splitlines()) for _, output, reason in REFUSED.findall(log)}
    return NPU(
        name=npu,
        compiler=f"{PACKAGE} {version(PACKAGE)}",
        system=f"{row['system_config']}, {row['memory_mode']}, {float(row['core_clock']) / 1e6:.0f} MHz",
        operations=len(whole.operations),
        npu_operations=len(taken),
        multiply_adds=sum(operation.multiply_adds for operation in whole.operations),
        npu_multiply_adds=sum(operation.multiply_adds for operation in taken),
        left=[Left(o.kind, o.layer, reasons.get(o.outputs[0].name, "no reason given")) for o in left],
        milliseconds=1000 * float(row["inference_time"]),
        cycles=round(float(row["cycles_total"])),
        sram_bytes=sizes["sram"],
        dram_bytes=sizes["dram"],
        flash_bytes=round(1024 * flash),
    )


def require(npu: str) -> None:
    """Raise what is wrong with an NPU's name, or ModuleNotFoundError without the compiler: before long work."""
    if npu not in NPUS:
        raise ValueError(f"npu must be one of {', '.join(NPUS)}. Received: {npu!r}")
    if find_spec("ethosu") is None:
        raise ModuleNotFoundError(f"compiling for an NPU needs Arm's {PACKAGE}, the extra cspkeras[npu]")


def _why(log: str, end: str) -> str:
    """Return what the compiler says last, or else how it ended, in one line."""
    error = re.search(r"Error: (?:Compilation failed: )?(.+)", log, re.S)
    said = error[1] if error else "\n".join(line for line in log.splitlines() if not line.startswith("Warning"))
    return " ".join(said.split()) or end or "it made no file"


def _parted(whole: Graph, rest: Graph) -> tuple[list[Operation], list[Operation]]:
    """Return a file's operations that stayed as they were when it was compiled, and those that the NPU took."""
    stayed = Counter((o.kind, o.outputs[0].name) for o in rest.operations if o.kind != ON_NPU)
    left, taken = [], []
    for operation in whole.operations:
        key = operation.kind, operation.outputs[0].name
        (left if stayed[key] > 0 else taken).append(operation)
        stayed[key] -= 1
    return left, taken
