"""Run a .tflite file on LiteRT's CPU and on its GPU delegate, each time in a process of its own.

A damaged file, or an operation that the GPU delegate mishandles, ends the process that loads it: that is `worker`'s.
"""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...files import scratch
from ..device.contents import check_tensors
from ..device.limits import MEMORY
from . import worker
from .graph import Graph
from .worker import SWIFTSHADER, VULKAN_VARIABLES, load_arrays, save_arrays

NO_SPACE = os.strerror(errno.ENOSPC)


class LiteRTError(RuntimeError):
    """LiteRT cannot load or run a file; the message is one line and names the file."""


@dataclass(frozen=True)
class CPURun:
    """The results of LiteRT's CPU for a file."""

    graph: Graph  # its operations
    inputs: dict[str, np.ndarray]  # input name -> array (runs, *input shape), float32 but for whole numbers of no scale
    raw: dict[str, np.ndarray]  # the same as the file takes them, quantized where it takes integers
    outputs: dict[str, np.ndarray]  # output name -> array (runs, *output shape), dequantized
    quantization: dict[str, tuple[float, int]]  # output name -> (scale, zero point), (0, 0) for an output of floats
    latency_ms: float  # median time of one run

    @property
    def precision(self) -> str:
        """The file's: "float32", "float16", "dynamic", "int8" or "int16x8"."""
        return self.graph.precision()

    @property
    def operations(self) -> dict[str, int]:
        """The number of operations of each kind."""
        return dict(Counter(operation.kind for operation in self.graph.operations))


@dataclass(frozen=True)
class GPURun:
    """The results of LiteRT's GPU delegate for a file."""

    device: str | None  # the Vulkan device's name; None if there is none
    delegated: bool | None  # whether every operation ran on it; None without a device
    fault: str  # the reason in one line if there are no outputs; else empty
    rejected: list[tuple[str, str]]  # (operation, reason) of every refused operation
    outputs: dict[str, np.ndarray]  # as `CPURun.outputs`; empty without a result


def run_cpu(
    path,
    inputs: np.ndarray | Mapping[str, np.ndarray] | None = None,
    threads: int = 2,
    runs: int = 1,
    timeout: float = 600,
) -> CPURun:
    """Run a file on LiteRT's CPU (XNNPACK); `inputs` are the images of `cspkeras.tflite.check`, as the others are."""
    require_tflite(path)
    with scratch() as folder:
        if inputs is not None:
            arrays = inputs if isinstance(inputs, Mapping) else {"": inputs}
            save_arrays(f"{folder}/given.npz", {name: np.asarray(array) for name, array in arrays.items()})
        report, _, end = run_script("cpu", path, folder, os.environ, timeout, threads, runs)
        if report and "wrong_inputs" in report:
            raise ValueError(f"{path}: {report['wrong_inputs']}")
        if report is None or "error" in report:
            raise LiteRTError(
                f"{path}: LiteRT's CPU cannot run it ({report['error'] if report else end}); "
                "expected a whole .tflite of built-in operations"
            )
        arrays = load_arrays(f"{folder}/outputs.npz")
        return CPURun(
            graph=Graph.from_json(report["graph"]),
            inputs=load_arrays(f"{folder}/inputs.npz"),
            raw=load_arrays(f"{folder}/raw.npz"),
            outputs={name: _dequantize(arrays[name], *q) for name, q in report["quantization"].items()},
            quantization=report["quantization"],
            latency_ms=report["latency_ms"],
        )


def run_gpu(path, cpu: CPURun, timeout: float = 600) -> GPURun:
    """Run a file on LiteRT's GPU delegate alone, on a CPU run's inputs; a refusal or a crash is a result too."""
    with scratch() as folder:
        save_arrays(f"{folder}/raw.npz", cpu.raw)
        for environment in _vulkan_environments(folder):
            report, log, end = run_script("gpu", path, folder, environment, timeout)
            device = re.search(r"Selected adapter: ([^,\n]+)", log)
            if device:
                break
        else:
            return GPURun(None, None, "", [], {})
        if report is None:
            return GPURun(device[1], False, f"the delegate fails on this file: {end}", [], {})
        rejected = _rejected(log)
        if "error" in report:
            split = re.search(r"^.*operations? will run on the GPU.*$", log, re.M)
            return GPURun(device[1], False, split[0] if split else report["error"], rejected, {})
        arrays = load_arrays(f"{folder}/outputs.npz")
        # A file without a signature has other names here, in the same order.
        outputs = arrays if set(arrays) == set(cpu.outputs) else dict(zip(cpu.outputs, arrays.values(), strict=True))
        outputs = {name: _dequantize(outputs[name], *q) for name, q in cpu.quantization.items()}
        return GPURun(device[1], report["delegated"], "", rejected, outputs)


def read_graph(path, timeout: float = 600) -> Graph:
    """Read a file's operations without running it: those that LiteRT doesn't know are in it too."""
    require_tflite(path)
    with scratch() as folder:
        report, _, end = run_script("graph", path, folder, os.environ, timeout)
    if report is None or "error" in report:
        raise LiteRTError(f"{path}: LiteRT cannot read it ({report['error'] if report else end})")
    return Graph.from_json(report["graph"])


def require() -> None:
    """Raise ModuleNotFoundError if LiteRT is not installed: to be called before long work."""
    if find_spec("ai_edge_litert") is None:
        raise ModuleNotFoundError("running .tflite files needs LiteRT, the package ai-edge-litert")


def require_tflite(path) -> None:
    """Raise what is wrong with a file that is no .tflite at first sight, or ModuleNotFoundError without LiteRT.

    ValueError: a tensor of it claims more memory than is allowed.
    """
    require()
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a .tflite")
    with open(path, "rb") as file:
        head = file.read(8)
    if not head:
        raise LiteRTError(f"{path}: an empty file, expected a .tflite")
    if head[4:] != b"TFL3":
        raise LiteRTError(f"{path}: not a .tflite, whose bytes 4 to 7 are b'TFL3'; received {head[4:]!r}")
    try:
        check_tensors(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _vulkan_environments(folder: str):
    """Yield where to look for a device: the caller's environment, then SwiftShader unless that names a driver."""
    environment = {"XDG_RUNTIME_DIR": folder, **os.environ}
    yield environment
    if not any(name in environment for name in VULKAN_VARIABLES) and SWIFTSHADER.exists():
        yield environment | dict.fromkeys(VULKAN_VARIABLES, str(SWIFTSHADER))


def _rejected(log: str) -> list[tuple[str, str]]:
    """Return the delegate's list of refused operations, in its log a line "OPERATION: reason" each."""
    listing = re.search(r"not supported by GPU delegate:\n(.*?)^[^\n]*operations? will run", log, re.S | re.M)
    return re.findall(r"^([A-Z][\w ]*): (.+)$", listing[1], re.M) if listing else []


def _dequantize(values: np.ndarray, scale: float, zero: int) -> np.ndarray:
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values


def run_script(mode: str, path, folder, environment, timeout: float, *arguments, script=worker.__file__):
    """Run `worker` or another script; return its report or None, what it printed, and why there is no report.

    The process gets the memory of `MEMORY` at most, but with a GPU, whose driver takes more.
    """
    report = Path(folder, f"{mode}.json")
    report.unlink(missing_ok=True)
    command = [sys.executable, "-P", script, mode, str(path), str(folder), *map(str, arguments)]
    log, end = run_process(command, timeout, environment, MEMORY.most if mode != "gpu" else None)
    if NO_SPACE in log:  # for its report
        raise OSError(errno.ENOSPC, NO_SPACE)
    if not report.exists():
        return None, log, end or "it left no result"
    found = json.loads(report.read_text())
    if NO_SPACE in found.get("error", ""):
        raise OSError(errno.ENOSPC, NO_SPACE)
    if found.get("error") == "":  # LiteRT says nothing when memory runs out
        found["error"] = f"it takes {MEMORY.exceeded}"
    return found, log, end


def run_process(command: list[str], timeout: float, environment=None, memory: int | None = None) -> tuple[str, str]:
    """Run a process, on Linux in so many bytes of memory; return what it printed, and "" or, if it failed, why."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            if memory:
                _bound(process.pid, memory)
            printed, _ = process.communicate(timeout=timeout)
            status = process.returncode
            died = signal.Signals(-status).name if status < 0 else f"exit {status}"
            end = f"its process died ({died})" if status else ""
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
            end = f"no result within {timeout:g} seconds"
        except BaseException:  # Ctrl-C
            process.kill()
            raise
    return printed.decode(errors="replace"), end


def _bound(process: int, memory: int) -> None:
    with suppress(ImportError, ProcessLookupError):  # not on Linux; it has ended
        from resource import RLIMIT_DATA, prlimit

        prlimit(process, RLIMIT_DATA, (memory, memory))
