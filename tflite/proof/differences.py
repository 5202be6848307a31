"""How far the outputs of a .tflite file are from those that they are compared to, and how far they may be."""

from dataclasses import astuple, dataclass

import numpy as np


@dataclass(frozen=True)
class Bounds:
    """The accepted differences: for each comparison, a field of `Difference` and its largest accepted value.

    Attributes:
        cpu: of LiteRT's CPU to the reference.
        gpu: of LiteRT's GPU to its CPU; None for files that the GPU delegate doesn't take.
        unit: whether values in 0..1 are taken to have the range 1. In 8 bits probabilities and parts of an image come
            in steps of 1/256, and an untrained detector's scores may all lie within one step.
    """

    cpu: tuple[str, float]
    gpu: tuple[str, float] | None
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
    "int16x8": Bounds(cpu=("rms", 0.15), gpu=None, unit=True),
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


def not_finite(title: str, outputs: dict) -> list[str]:
    """Find outputs that are not numbers."""
    names = [name for name, values in outputs.items() if not np.isfinite(values).all()]
    return [f"{title}: output {name!r} has NaN or infinity" for name in names]


def constant(outputs: dict, wanted: dict, bounds: Bounds) -> list[str]:
    """Find outputs that quantization made constant: if the reference is nearly constant too, averages hide that."""
    faults = []
    for name, values in outputs.items():
        if values.min() == values.max() and np.ptp(wanted[name].astype(np.float64)) > _range(wanted[name], bounds) / 50:
            low, high = wanted[name].min(), wanted[name].max()
            faults.append(f"CPU: output {name!r} is constant, the reference's spans {low:.3g} to {high:.3g}")
    return faults


def differences(outputs: dict, wanted: dict, bounds: Bounds) -> dict[str, Difference]:
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
    low, high = float(wanted.min()), float(wanted.max())
    if bounds.unit and low >= 0 and high <= 1:
        return 1.0
    return max(high - low, max(-low, high) / 10, float(np.finfo(np.float32).tiny))


def beyond(title: str, differences: dict[str, Difference], measure: str, bound: float) -> list[str]:
    """Find outputs whose difference is beyond a bound on one of its fields."""
    values = {name: getattr(difference, measure) for name, difference in differences.items()}
    return [
        f"{title}: {measure} difference {value:.1e} at output {name!r}, accepted {bound:g}"
        for name, value in values.items()
        if value > bound
    ]


def worst(differences: dict[str, Difference]) -> Difference | None:
    """Return each field's largest value; None of nothing."""
    columns = zip(*map(astuple, differences.values()), strict=True)
    return Difference(*map(max, columns)) if differences else None
