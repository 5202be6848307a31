"""Measure the size and speed of .tflite files on LiteRT's CPU, and which operations take the time.

Each measurement runs in a process of its own.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...files import scratch
from ..runtime import profiler
from ..runtime.graph import WEIGHTED
from ..runtime.graph import Operation as FileOperation
from ..runtime.litert import CPURun, LiteRTError, run_cpu, run_script
from ..runtime.worker import save_arrays

PROFILED_RUNS = 20
# Of the operations with weights, in XNNPACK's profile.
KERNELS = ("Convolution", "Deconvolution", "Fully Connected")
# XNNPACK has no name yet for the kernel it makes of 8-bit functions, such as swish's LOGISTIC and MUL.
NAMES = {"Invalid Unary Op": "Unary function by table (X8)"}


@dataclass(frozen=True)
class Latency:
    """The time of a run of a file.

    Attributes:
        threads: of the CPU.
        median_ms: the runs' median, in milliseconds.
        p90_ms: their 90th percentile.
        memory_bytes: the most that loading and running it added to its process, weights included; None except on Linux.
    """

    threads: int
    median_ms: float
    p90_ms: float
    memory_bytes: int | None


@dataclass(frozen=True)
class Operation:
    """The time of one operation of a run.

    Attributes:
        kernel: its name in XNNPACK, or in TFLite if XNNPACK does not run it.
        layer: the layer that it belongs to, "after LAYER" if it has no weights, "" if unknown.
        milliseconds: its median.
        delegated: whether XNNPACK runs it.
    """

    kernel: str
    layer: str
    milliseconds: float
    delegated: bool


@dataclass(frozen=True)
class Benchmark:
    """The measurements of a .tflite file.

    Attributes:
        path: the file.
        size_bytes: its size.
        precision: "float32", "float16", "dynamic" (integer weights alone), "int8" or "int16x8" (16-bit activations).
        arena_bytes: the memory between operations as TFLite plans it for its own kernels. XNNPACK plans its own.
        runs: timed runs for each latency.
        latencies: a `Latency` for each number of threads.
        operations: of the last number of threads, in the order of execution; empty without a profile.
        note: why there is no profile; empty if there is one.
    """

    path: str
    size_bytes: int
    precision: str
    arena_bytes: int
    runs: int
    latencies: list[Latency]
    operations: list[Operation]
    note: str

    def to_json(self) -> dict:
        """Return all of it as a plain dictionary."""
        return asdict(self)

    def slowest(self, count: int) -> list[tuple[Operation, float]]:
        """Return the operations that take longest, and their share of all."""
        whole = sum(operation.milliseconds for operation in self.operations) or 1.0
        ordered = sorted(self.operations, key=lambda operation: -operation.milliseconds)
        return [(operation, operation.milliseconds / whole) for operation in ordered[:count]]

    def kernels(self) -> list[tuple[str, int, float, float]]:
        """Return the kinds of operation, slowest first: name, number, milliseconds and share of all."""
        sums: dict[str, list[float]] = {}
        for operation in self.operations:
            sums.setdefault(operation.kernel, []).append(operation.milliseconds)
        whole = sum(map(sum, sums.values())) or 1.0
        rows = [(name, len(each), sum(each), sum(each) / whole) for name, each in sums.items()]
        return sorted(rows, key=lambda row: -row[2])

    def table(self, slowest: int = 10) -> str:
        """Return all of it as text for a terminal."""
        head = f"{self.path}: {self.precision}, {self.size_bytes / 1e6:.2f} MB, arena {self.arena_bytes / 1e6:.2f} MB"
        lines = [head, f"{'threads':>9}{'median, ms':>13}{'90th, ms':>11}{'memory, MB':>13}"]
        for one in self.latencies:
            memory = "–" if one.memory_bytes is None else f"{one.memory_bytes / 1e6:.1f}"
            lines.append(f"{one.threads:>9}{one.median_ms:>13.2f}{one.p90_ms:>11.2f}{memory:>13}")
        if self.note:
            return "\n".join([*lines, self.note])
        threads = self.latencies[-1].threads
        lines.append(f"{'ms':>9}{'share':>7}  slowest operations on {threads} thread{'s' * (threads > 1)}")
        for operation, share in self.slowest(slowest):
            kernel = operation.kernel if operation.delegated else f"{operation.kernel} (not XNNPACK's)"
            lines.append(f"{operation.milliseconds:>9.3f}{share:>7.1%}  {kernel:<42}{operation.layer}")
        lines.append(f"{'ms':>9}{'share':>7}  kinds of operation")
        for kernel, count, milliseconds, share in self.kernels():
            lines.append(f"{milliseconds:>9.3f}{share:>7.1%}  {count} x {kernel}")
        return "\n".join(lines)


def benchmark(
    path: os.PathLike[str] | str, threads: Iterable[int] | None = None, runs: int = 50, timeout: float = 600
) -> Benchmark:
    """Measure a .tflite file on LiteRT's CPU, on noise.

    Args:
        path: the file, not necessarily of this library.
        threads: numbers of threads to measure with; 1 and all cores by default.
        runs: timed runs for each.
        timeout: seconds that each measurement may take.

    Returns:
        A `Benchmark`.

    Raises:
        LiteRTError: the file is not a .tflite, is damaged, or LiteRT's CPU cannot run it.
        ValueError: `threads` or `runs` is below 1.

    Example:
        >>> print(benchmark("detector.tflite", threads=(1, 4)).table(slowest=3))  # doctest: +SKIP
        detector.tflite: int8, 2.41 MB, arena 3.35 MB
          threads   median, ms   90th, ms   memory, MB
        ...
    """
    threads = tuple(threads or sorted({1, os.cpu_count() or 1}))
    if min(threads) < 1 or runs < 1:
        raise ValueError(f"threads and runs: expected at least 1, received threads={threads}, runs={runs}")
    cpu = run_cpu(path, timeout=timeout)
    reports = [_measure("latency", path, cpu, timeout, each, runs) for each in threads]
    latencies = []
    for each, report in zip(threads, reports, strict=True):
        median, p90 = np.percentile(report["times"], (50, 90)).tolist()
        latencies.append(Latency(each, median, p90, report["memory_bytes"]))
    try:
        profiled = _measure("profile", path, cpu, timeout, threads[-1], min(runs, PROFILED_RUNS))["operations"]
        note = ""
    except LiteRTError as error:
        profiled, note = [], f"no profile: {error}"
    return Benchmark(
        path=str(path),
        size_bytes=Path(path).stat().st_size,
        precision=cpu.precision,
        arena_bytes=reports[0]["arena_bytes"],
        runs=runs,
        latencies=latencies,
        operations=_named(profiled, cpu.graph.operations),
        note=note,
    )


def _measure(mode: str, path, cpu: CPURun, timeout: float, *arguments) -> dict:
    with scratch() as folder:
        save_arrays(f"{folder}/raw.npz", cpu.raw)
        report, _, end = run_script(mode, path, folder, os.environ, timeout, *arguments, script=profiler.__file__)
    if report is None or "error" in report:
        raise LiteRTError(f"{path}: LiteRT's {mode} failed ({report['error'] if report else end})")
    return report


def _named(profiled: list, operations: Iterable[FileOperation]) -> list[Operation]:
    """Name the profile's operations by their layers, if those with weights are as many as in the file."""
    layers = [operation.layer for operation in operations if operation.kind in WEIGHTED]
    known = len(layers) == sum(kernel.startswith(KERNELS) for kernel, _, _ in profiled)
    rest, place, named = iter(layers), "", []
    for kernel, milliseconds, delegated in profiled:
        layer = place and f"after {place}"
        if known and kernel.startswith(KERNELS):
            layer = place = next(rest)
        named.append(Operation(NAMES.get(kernel, kernel), layer, milliseconds, delegated))
    return named
