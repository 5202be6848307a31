"""Prove a .tflite file on LiteRT: it loads, agrees with its model, and runs wholly on the GPU delegate.

A file called int8 is also held to compute in integers; which part of it an NPU takes is told on demand.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..export import metadata
from ..runtime.litert import CPURun, GPURun, LiteRTError, require_tflite, run_cpu, run_gpu
from . import npu as npus
from .differences import BOUNDS, Bounds, Difference, beyond, constant, differences, not_finite, worst
from .floats import Floats, count_floats, float_faults

NO_VULKAN = "the GPU column needs a Vulkan driver; on Debian: apt-get install chromium (SwiftShader)"
NO_16_BITS = "LiteRT's GPU delegate takes no 16-bit integers: such a file is for the CPU and for NPUs"
BACKEND = "LiteRT's WebGPU backend in 32-bit floats on {}; phones run OpenCL or OpenGL in 16 bits"


@dataclass(frozen=True)
class Check:
    """The findings about a .tflite file.

    Attributes:
        path: the file.
        size_bytes: its size.
        precision: "float32", "float16", "dynamic" (integer weights alone), "int8" or "int16x8" (16-bit activations).
        operations: operation name -> number of them.
        floats: what it computes in floats.
        threads: of the CPU.
        latency_ms: median time of one run on the CPU.
        cpu_to_reference: differences of LiteRT's CPU to the reference; None without a reference.
        gpu_delegated: whether the GPU delegate took every operation; None without a Vulkan device, and for int16x8.
        gpu_note: the GPU's backend and device, or why it did not run.
        rejected: {"op", "reason"} of each operation that the delegate refused.
        gpu_to_cpu: differences of LiteRT's GPU to its CPU; None if the GPU returned no outputs.
        npu: what an NPU takes of it; None if none was asked for, or its compiler fails, which is a fault.
        bounds: the accepted differences.
        faults: what is wrong, one line each.
    """

    path: str
    size_bytes: int
    precision: str
    operations: dict[str, int]
    floats: Floats
    threads: int
    latency_ms: float
    cpu_to_reference: Difference | None
    gpu_delegated: bool | None
    gpu_note: str
    rejected: list[dict[str, str]]
    gpu_to_cpu: Difference | None
    npu: npus.NPU | None
    bounds: Bounds
    faults: list[str]

    @property
    def passed(self) -> bool:
        """Whether there are no faults. The GPU's part counts only if there is a Vulkan device."""
        return not self.faults

    @property
    def cpu_difference(self) -> float | None:
        """The largest difference of LiteRT's CPU to the reference over the range; None without a reference."""
        return self.cpu_to_reference.largest if self.cpu_to_reference else None

    @property
    def gpu_difference(self) -> float | None:
        """The largest difference of LiteRT's GPU to its CPU over the range; None if the GPU returned no outputs."""
        return self.gpu_to_cpu.largest if self.gpu_to_cpu else None

    def to_json(self) -> dict:
        """Return all of it as a plain dictionary."""
        computed = {name: getattr(self, name) for name in ("cpu_difference", "gpu_difference", "passed")}
        return asdict(self) | {"npu": self.npu and self.npu.to_json()} | computed

    def table(self) -> str:
        """Return all of it as text for a terminal."""
        delegated = {True: "every operation delegated", False: "not wholly delegated", None: "not run"}
        rows = [
            ("file", f"{self.path}, {self.precision}, {self.size_bytes:,} bytes"),
            ("in floats", self.floats.text()),
            ("CPU", f"{self.latency_ms:.3g} ms on {self.threads} threads"),
            ("CPU to reference", self._difference(self.cpu_to_reference, self.bounds.cpu)),
            ("GPU", delegated[self.gpu_delegated]),
            ("", self.gpu_note),
            ("GPU to CPU", self._difference(self.gpu_to_cpu, self.bounds.gpu)),
            *(self.npu.rows() if self.npu else ()),
            ("result", "passed" if self.passed else "FAILED"),
            *(("", fault) for fault in self.faults),
        ]
        return "\n".join([f"{head:<18}{text}" for head, text in rows] + ["", *self._operation_rows()])

    def _operation_rows(self) -> list[str]:
        """Return a line per operation: their number, and what the GPU delegate says of it."""
        reasons: dict[str, list[str]] = {}
        for rejected in self.rejected:
            reasons.setdefault(rejected["op"].removeprefix("CUSTOM "), []).append(rejected["reason"])
        others = {True: "delegated", False: "taken" if reasons else "not known", None: "not run"}[self.gpu_delegated]
        rows: list[tuple] = [("operation", "count", "GPU delegate")]
        for name, count in sorted(self.operations.items(), key=lambda item: -item[1]):
            refused = reasons.get(name, [])
            rows.append((name, count, f"refuses {len(refused)}: {refused[0]}" if refused else others))
        return [f"{name:<28}{count:>6}   {gpu}" for name, count, gpu in rows]

    def _difference(self, difference: Difference | None, bound: tuple[str, float] | None) -> str:
        if difference is None or bound is None:
            return "not compared"
        figures = ", ".join(f"{name} {value:.1e}" for name, value in asdict(difference).items())
        return f"{figures}; bound: {bound[0]} {bound[1]:.2g}"


def check(
    path: os.PathLike[str] | str,
    reference: os.PathLike[str] | str | Callable[..., dict | list] | None = None,
    threads: int = 2,
    runs: int = 20,
    images: np.ndarray | Mapping[str, np.ndarray] | None = None,
    timeout: float = 600,
    npu: str | None = None,
) -> Check:
    """Run a .tflite file on LiteRT's CPU and GPU delegate, in child processes, and compare the outputs.

    Args:
        path: the .tflite file.
        reference: the model it was made from: a .keras file, or a callable that takes one batch, of a file of several
            inputs a dictionary of their names -> batches, and returns a dictionary of the file's output names ->
            arrays, or a list of arrays in its order.
        threads: of the CPU.
        runs: timed runs on the CPU, whose median is the latency.
        images: what to compare on, (n, height, width, channels), or `(n, *shape)` for an input that is not an image;
            for a file of several inputs a dictionary of their names -> such arrays. By default noise in 0..1. Floats
            are quantized for a file that takes integers, integers go into it as they are. Give an 8-bit file images
            like those it was calibrated on: a deep network may amplify its errors on noise.
        timeout: seconds that each device may take.
        npu: an NPU to compile the file for as well, such as "ethos-u65-256"; see `proof.npu.NPUS`.

    Returns:
        The findings; look at `passed` and `faults`. Without a Vulkan device the GPU's part is left out.

    Raises:
        LiteRTError: the file is not a .tflite, is damaged, or LiteRT's CPU cannot run it.
        ValueError: `images` are not the file's inputs, the reference's outputs not its outputs, `npu` is unknown, or
            `threads` or `runs` is below 1.
        ModuleNotFoundError: LiteRT, or for `npu` the compiler ethos-u-vela, is not installed.

    Example:
        >>> found = check("detector.tflite", reference="detector.keras")  # doctest: +SKIP
        >>> found.passed, found.gpu_delegated, found.cpu_difference < 1e-4  # doctest: +SKIP
        (True, True, True)
    """
    if threads < 1 or runs < 1:
        raise ValueError(f"threads and runs: expected at least 1, received threads={threads}, runs={runs}")
    if npu is not None:
        npus.require(npu)
    require_tflite(path)
    settings, faults = _settings(path)
    compute = _callable(reference, settings)
    cpu = run_cpu(path, images, threads, runs, timeout)
    bounds = BOUNDS[cpu.precision]
    gpu = run_gpu(path, cpu, timeout) if bounds.gpu else GPURun(None, None, "", [], {})
    floats = count_floats(cpu.graph, settings)
    faults += float_faults(floats, cpu.precision, settings.get("precision"))
    faults += not_finite("CPU", cpu.outputs) + not_finite("GPU", gpu.outputs) + _not_delegated(gpu)
    to_reference, to_cpu = {}, {}
    if compute:
        wanted = _reference_outputs(path, compute, cpu)
        to_reference = differences(cpu.outputs, wanted, bounds)
        faults += not_finite("reference", wanted) + constant(cpu.outputs, wanted, bounds)
        faults += beyond("CPU to reference", to_reference, *bounds.cpu)
    if gpu.outputs and bounds.gpu:
        to_cpu = differences(gpu.outputs, cpu.outputs, bounds)
        faults += beyond("GPU to CPU", to_cpu, *bounds.gpu)
    compiled, refused = _compiled(path, npu, timeout)
    return Check(
        path=str(path),
        size_bytes=Path(path).stat().st_size,
        precision=cpu.precision,
        operations=cpu.operations,
        floats=floats,
        threads=threads,
        latency_ms=cpu.latency_ms,
        cpu_to_reference=worst(to_reference),
        gpu_delegated=gpu.delegated,
        gpu_note=BACKEND.format(gpu.device) if gpu.device else NO_VULKAN if bounds.gpu else NO_16_BITS,
        rejected=[{"op": op, "reason": reason} for op, reason in gpu.rejected],
        gpu_to_cpu=worst(to_cpu),
        npu=compiled,
        bounds=bounds,
        faults=faults + refused,
    )


def _settings(path) -> tuple[dict, list[str]]:
    """Return the settings that a file carries, none for a stranger's, and what is wrong with them."""
    try:
        return metadata.read(path)[0], []
    except metadata.NoSettingsError:
        return {}, []
    except ValueError as error:
        return {}, [f"settings: {error}"]


def _callable(reference, settings: dict) -> Callable | None:
    if reference is None or callable(reference):
        return reference
    from ...saving import load_model
    from ..export.convert import reference as outputs_of

    decoded = {"decode": "host"} if settings.get("boxes") == "raw" else {}
    return outputs_of(load_model(reference, "the reference model"), **decoded)


def _reference_outputs(path, compute: Callable, cpu: CPURun) -> dict[str, np.ndarray]:
    """Return the reference's outputs by the file's names, (runs, *output shape)."""
    outputs = cpu.outputs
    batches = [dict(zip(cpu.inputs, row, strict=True)) for row in zip(*cpu.inputs.values(), strict=True)]
    rows = [compute(batch if len(batch) > 1 else next(iter(batch.values()))) for batch in batches]
    rows = [_by_name(row, outputs) for row in rows]
    if set(rows[0]) != set(outputs):
        raise ValueError(f"{path}: its outputs are {sorted(outputs)}, the reference gives {sorted(rows[0])}")
    wanted = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in outputs}
    for name, values in wanted.items():
        expected, received = outputs[name].shape[1:], values.shape[1:]
        if received != expected:
            raise ValueError(f"{path}: output {name!r} has shape {expected}, the reference's has {received}")
    return wanted


def _by_name(row: dict | list, outputs: dict) -> dict:
    """Name a reference's outputs as the file's: one alone may have another name, those of a list have none."""
    if isinstance(row, dict) and not len(row) == len(outputs) == 1:
        return row
    values = list(row.values() if isinstance(row, dict) else row)
    names = [*outputs, *(f"another, {i}" for i in range(len(outputs), len(values)))]
    return dict(zip(names, values, strict=False))


def _compiled(path, npu: str | None, timeout: float) -> tuple[npus.NPU | None, list[str]]:
    if npu is None:
        return None, []
    try:
        compiled = npus.check_npu(path, npu, timeout)
    except LiteRTError as error:
        return None, [f"NPU: {error}"]
    takes = f"NPU: {npu} takes none of the operations; NPUs take integers, of precision int8 or int16x8"
    return compiled, [] if compiled.npu_operations else [takes]


def _not_delegated(gpu: GPURun) -> list[str]:
    if gpu.delegated is not False:
        return []
    refused = ", ".join(sorted({op for op, _ in gpu.rejected}))
    fault = f"GPU: {gpu.fault or 'not every operation was delegated'}"
    return [f"{fault} Refused: {refused}." if refused else fault]
