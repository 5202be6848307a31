"""Prove a .tflite file on LiteRT: it loads, agrees with its model, and runs wholly on the GPU delegate."""

import os
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np

from ..runtime.litert import GPURun, run_cpu, run_gpu

NO_VULKAN = "the GPU column needs a Vulkan driver; on Debian: apt-get install chromium (SwiftShader)"
BACKEND = "LiteRT's WebGPU backend in 32-bit floats on {}; phones run OpenCL or OpenGL in 16 bits"


@dataclass(frozen=True)
class Bounds:
    """The accepted differences: for each comparison, a field of `Difference` and its largest accepted value.

    Attributes:
        cpu: of LiteRT's CPU to the reference.
        gpu: of LiteRT's GPU to its CPU.
        unit: whether values in 0..1 are taken to have the range 1. In 8 bits probabilities and parts of an image come
            in steps of 1/256, and an untrained detector's scores may all lie within one step.
    """

    cpu: tuple[str, float]
    gpu: tuple[str, float]
    unit: bool


# Measured on trained and untrained networks of 4 to 113 convolutions:
# - float32 1e-5, float16 1e-2 (2e-2 on noise) of the range, the GPU 6e-5: floats are held to the largest.
# - With 8 bits single elements are noisy and the mean hides an output that clips. Noise over signal (rms)
#   tells: dynamic 0.04, int8 0.16, but 0.5 in a published int8 detector of an average precision near zero.
# - CPU and GPU round 8-bit values alike but for a few in a hundred, and these differences propagate. After a
#   hundred convolutions quantized values differ by half a step on average, rarely by more than two: rms 0.02 to 0.06.
BOUNDS = {
    "float32": Bounds(cpu=("largest", 1e-4), gpu=("largest", 1e-3), unit=False),
    "float16": Bounds(cpu=("largest", 3e-2), gpu=("largest", 1e-3), unit=False),
    "dynamic": Bounds(cpu=("rms", 0.15), gpu=("rms", 0.15), unit=True),
    "int8": Bounds(cpu=("rms", 0.3), gpu=("rms", 0.1), unit=True),
}


@dataclass(frozen=True)
class Difference:
    """The differences of outputs to those that they are compared to; of several outputs, the largest.

    Attributes:
        largest: largest absolute difference over the range of the values compared to; the range is at least a
            tenth of the largest value, since below that one sees rounding alone.
        mean: mean absolute difference over the same range.
        rms: root mean square difference over the standard deviation of the values compared to, which is taken
            to be at least 1/64 of the range.
    """

    largest: float
    mean: float
    rms: float


@dataclass(frozen=True)
class Check:
    """The findings about a .tflite file.

    Attributes:
        path: the file.
        size_bytes: its size.
        precision: "float32", "float16", "int8" (integer activations) or "dynamic" (integer weights alone).
        operations: operation name -> number of them.
        threads: of the CPU.
        latency_ms: median time of one run on the CPU.
        cpu_to_reference: differences of LiteRT's CPU to the reference; None without a reference.
        gpu_delegated: whether the GPU delegate took every operation; None without a Vulkan device.
        gpu_note: the GPU's backend and device, or what is needed to run it here.
        rejected: {"op", "reason"} of each operation that the delegate refused.
        gpu_to_cpu: differences of LiteRT's GPU to its CPU; None if the GPU returned no outputs.
        bounds: the accepted differences.
        faults: what is wrong, one line each.
    """

    path: str
    size_bytes: int
    precision: str
    operations: dict[str, int]
    threads: int
    latency_ms: float
    cpu_to_reference: Difference | None
    gpu_delegated: bool | None
    gpu_note: str
    rejected: list[dict[str, str]]
    gpu_to_cpu: Difference | None
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
        return asdict(self) | computed

    def table(self) -> str:
        """Return all of it as text for a terminal."""
        delegated = {True: "every operation delegated", False: "not wholly delegated", None: "not run"}
        rows = [
            ("file", f"{self.path}, {self.precision}, {self.size_bytes:,} bytes"),
            ("CPU", f"{self.latency_ms:.3g} ms on {self.threads} threads"),
            ("CPU to reference", self._difference(self.cpu_to_reference, self.bounds.cpu)),
            ("GPU", delegated[self.gpu_delegated]),
            ("", self.gpu_note),
            ("GPU to CPU", self._difference(self.gpu_to_cpu, self.bounds.gpu)),
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

    def _difference(self, difference: Difference | None, bound: tuple[str, float]) -> str:
        if difference is None:
            return "not compared"
        figures = ", ".join(f"{name} {value:.1e}" for name, value in asdict(difference).items())
        return f"{figures}; bound: {bound[0]} {bound[1]:.2g}"


def check(
    path: os.PathLike[str] | str,
    reference: os.PathLike[str] | str | Callable[[np.ndarray], dict | list] | None = None,
    threads: int = 2,
    runs: int = 20,
    images: np.ndarray | None = None,
    timeout: float = 600,
) -> Check:
    """Run a .tflite file on LiteRT's CPU and GPU delegate, in child processes, and compare the outputs.

    Args:
        path: the .tflite file, of one input.
        reference: the model it was made from: a .keras file, or a callable that takes one float32 batch and
            returns a dictionary of the file's output names -> arrays, or a list of arrays in its order.
        threads: of the CPU.
        runs: timed runs on the CPU, whose median is the latency.
        images: float32 (n, height, width, channels) to compare on; by default noise in 0..1. Give an 8-bit
            file images like those it was calibrated on: a deep network may amplify its errors on noise.
        timeout: seconds that each device may take.

    Returns:
        The findings; look at `passed` and `faults`. Without a Vulkan device the GPU's part is left out.

    Raises:
        LiteRTError: the file is not a .tflite, is damaged, or LiteRT's CPU cannot run it.
        ValueError: the reference's outputs are not the file's, or `threads` or `runs` is below 1.

    Example:
        >>> found = check("detector.tflite", reference="detector.keras")  # doctest: +SKIP
        >>> found.passed, found.gpu_delegated, found.cpu_difference < 1e-4  # doctest: +SKIP
        (True, True, True)
    """
    if threads < 1 or runs < 1:
        raise ValueError(f"threads and runs: expected at least 1, received threads={threads}, runs={runs}")
    compute = _callable(reference)
    cpu = run_cpu(path, images, threads, runs, timeout)
    gpu = run_gpu(path, cpu, timeout)
    bounds = BOUNDS[cpu.precision]
    faults = _not_finite("CPU", cpu.outputs) + _not_finite("GPU", gpu.outputs) + _not_delegated(gpu)
    to_reference, to_cpu = {}, {}
    if compute:
        wanted = _reference_outputs(path, compute, cpu.images, cpu.outputs)
        to_reference = _differences(cpu.outputs, wanted, bounds)
        faults += _not_finite("reference", wanted) + _constant(cpu.outputs, wanted, bounds)
        faults += _beyond("CPU to reference", to_reference, *bounds.cpu)
    if gpu.outputs:
        to_cpu = _differences(gpu.outputs, cpu.outputs, bounds)
        faults += _beyond("GPU to CPU", to_cpu, *bounds.gpu)
    return Check(
        path=str(path),
        size_bytes=Path(path).stat().st_size,
        precision=cpu.precision,
        operations=cpu.operations,
        threads=threads,
        latency_ms=cpu.latency_ms,
        cpu_to_reference=_worst(to_reference),
        gpu_delegated=gpu.delegated,
        gpu_note=BACKEND.format(gpu.device) if gpu.device else NO_VULKAN,
        rejected=[{"op": op, "reason": reason} for op, reason in gpu.rejected],
        gpu_to_cpu=_worst(to_cpu),
        bounds=bounds,
        faults=faults,
    )


def _callable(reference) -> Callable | None:
    if reference is None or callable(reference):
        return reference
    from ...saving import load_model
    from ..export.convert import reference as outputs_of

    return outputs_of(load_model(reference, "the reference model"))


def _reference_outputs(path, compute: Callable, images: np.ndarray, outputs: dict) -> dict[str, np.ndarray]:
    """Return the reference's outputs by the file's names, (runs, *output shape)."""
    rows = [compute(batch) for batch in images]
    rows = [row if isinstance(row, dict) else dict(zip(outputs, row, strict=False)) for row in rows]
    if set(rows[0]) != set(outputs):
        raise ValueError(f"{path}: its outputs are {sorted(outputs)}, the reference gives {sorted(rows[0])}")
    wanted = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in outputs}
    for name, values in wanted.items():
        expected, received = outputs[name].shape[1:], values.shape[1:]
        if received != expected:
            raise ValueError(f"{path}: output {name!r} has shape {expected}, the reference's has {received}")
    return wanted


def _not_delegated(gpu: GPURun) -> list[str]:
    if gpu.delegated is not False:
        return []
    refused = ", ".join(sorted({op for op, _ in gpu.rejected}))
    fault = f"GPU: {gpu.fault or 'not every operation was delegated'}"
    return [f"{fault} Refused: {refused}." if refused else fault]


def _not_finite(title: str, outputs: dict) -> list[str]:
    names = [name for name, values in outputs.items() if not np.isfinite(values).all()]
    return [f"{title}: output {name!r} has NaN or infinity" for name in names]


def _constant(outputs: dict, wanted: dict, bounds: Bounds) -> list[str]:
    """Find outputs that quantization made constant: if the reference is nearly constant too, averages hide that."""
    faults = []
    for name, values in outputs.items():
        if np.ptp(values) == 0 and np.ptp(wanted[name]) > _range(wanted[name], bounds) / 50:
            low, high = wanted[name].min(), wanted[name].max()
            faults.append(f"CPU: output {name!r} is constant, the reference's spans {low:.3g} to {high:.3g}")
    return faults


def _differences(outputs: dict, wanted: dict, bounds: Bounds) -> dict[str, Difference]:
    """Return {output's name: difference} of the outputs that are finite on both sides."""
    return {
        name: _difference(values, wanted[name].astype(np.float64), bounds)
        for name, values in outputs.items()
        if np.isfinite(values).all() and np.isfinite(wanted[name]).all()
    }


def _difference(values: np.ndarray, wanted: np.ndarray, bounds: Bounds) -> Difference:
    off = np.abs(values - wanted)
    span = _range(wanted, bounds)
    return Difference(
        largest=float(off.max() / span),
        mean=float(off.mean() / span),
        rms=float(np.sqrt((off**2).mean()) / max(wanted.std(), span / 64)),
    )


def _range(wanted: np.ndarray, bounds: Bounds) -> float:
    low, high = wanted.min(), wanted.max()
    if bounds.unit and low >= 0 and high <= 1:
        return 1.0
    return max(high - low, max(-low, high) / 10, np.finfo(np.float32).tiny)


def _beyond(title: str, differences: dict[str, Difference], measure: str, bound: float) -> list[str]:
    values = {name: getattr(difference, measure) for name, difference in differences.items()}
    return [
        f"{title}: {measure} difference {value:.1e} at output {name!r}, accepted {bound:g}"
        for name, value in values.items()
        if value > bound
    ]


def _worst(differences: dict[str, Difference]) -> Difference | None:
    columns = zip(*map(astuple, differences.values()), strict=True)
    return Difference(*map(max, columns)) if differences else None
