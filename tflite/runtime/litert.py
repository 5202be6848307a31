"""Run a .tflite file on LiteRT's CPU and on its GPU delegate, each time in a process of its own.

A damaged file, or an operation that the GPU delegate mishandles, ends the process that loads it. So this
file has two halves: `run_cpu` and `run_gpu` start it as a script, which runs `_cpu` or `_gpu`; arrays and a report in
JSON go through a temporary folder. It imports nothing of cspkeras, to start quickly.
"""

import ctypes
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# A Vulkan driver in software, where Debian's chromium puts it. LiteRT's delegate refuses Mesa's (llvmpipe).
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
VULKAN_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")


class LiteRTError(RuntimeError):
    """LiteRT cannot load or run a file; the message is one line and names the file."""


@dataclass(frozen=True)
class CPURun:
    """The results of LiteRT's CPU for a file."""

    precision: str  # "float32", "float16", "int8" or "dynamic"
    operations: dict[str, int]  # operation name -> number of them
    images: np.ndarray  # the float32 inputs, shape (runs, *input shape)
    raw: np.ndarray  # the same as the file's input, quantized if it is of integers
    outputs: dict[str, np.ndarray]  # output name -> array (runs, *output shape), dequantized
    quantization: dict[str, tuple[float, int]]  # output name -> (scale, zero point), (0, 0) for an output of floats
    latency_ms: float  # median time of one run


@dataclass(frozen=True)
class GPURun:
    """The results of LiteRT's GPU delegate for a file."""

    device: str | None  # the Vulkan device's name; None if there is none
    delegated: bool | None  # whether every operation ran on it; None without a device
    fault: str  # the reason in one line if there are no outputs; else empty
    rejected: list[tuple[str, str]]  # (operation, reason) of every refused operation
    outputs: dict[str, np.ndarray]  # as `CPURun.outputs`; empty without a result


def run_cpu(path, images: np.ndarray | None = None, threads: int = 2, runs: int = 1, timeout: float = 600) -> CPURun:
    """Run a file on LiteRT's CPU (XNNPACK); the arguments are those of `cspkeras.tflite.check`."""
    _require_tflite(path)
    with tempfile.TemporaryDirectory() as folder:
        if images is not None:
            np.save(f"{folder}/images.npy", images)
        report, _, end = run_script("cpu", path, folder, os.environ, timeout, threads, runs)
        if report is None or "error" in report:
            raise LiteRTError(
                f"{path}: LiteRT's CPU cannot run it ({report['error'] if report else end}); "
                "expected a whole .tflite of built-in operations"
            )
        with np.load(f"{folder}/cpu.npz") as file:
            arrays = dict(file)
        quantization = report["quantization"]
        outputs = {name: _dequantize(arrays[f"arr_{i}"], *q) for i, (name, q) in enumerate(quantization.items())}
        return CPURun(images=arrays["images"], raw=arrays["raw"], outputs=outputs, **report)


def run_gpu(path, cpu: CPURun, timeout: float = 600) -> GPURun:
    """Run a file on LiteRT's GPU delegate alone, on a CPU run's inputs; a refusal or a crash is a result too."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/raw.npy", cpu.raw)
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
        with np.load(f"{folder}/gpu.npz") as file:
            arrays = dict(file)
        # A file without a signature has other names here, in the same order.
        named = set(report["names"]) == set(cpu.outputs)
        outputs = dict(zip(report["names"] if named else cpu.outputs, arrays.values(), strict=True))
        outputs = {name: _dequantize(outputs[name], *q) for name, q in cpu.quantization.items()}
        return GPURun(device[1], report["delegated"], "", rejected, outputs)


def require() -> None:
    """Raise ModuleNotFoundError if LiteRT is not installed: to be called before long work."""
    if find_spec("ai_edge_litert") is None:
        raise ModuleNotFoundError("running .tflite files needs LiteRT, the package ai-edge-litert")


def _require_tflite(path) -> None:
    require()
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a .tflite")
    with open(path, "rb") as file:
        head = file.read(8)
    if not head:
        raise LiteRTError(f"{path}: an empty file, expected a .tflite")
    if head[4:] != b"TFL3":
        raise LiteRTError(f"{path}: not a .tflite, whose bytes 4 to 7 are b'TFL3'; received {head[4:]!r}")


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


def run_script(device: str, path, folder: str, environment, timeout: float, *arguments, script=__file__):
    """Run this file, or another script; return its report or None, its standard error, and why there is no report."""
    report = Path(folder, f"{device}.json")
    report.unlink(missing_ok=True)
    command = [sys.executable, "-P", script, device, str(path), folder, *map(str, arguments)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        return None, (late.stderr or b"").decode(errors="replace"), f"no result within {timeout:g} seconds"
    log = done.stderr.decode(errors="replace")
    if report.exists():
        return json.loads(report.read_text()), log, ""
    status = done.returncode
    return None, log, f"its process died ({signal.Signals(-status).name if status < 0 else f'exit {status}'})"


def _cpu(path: str, folder: str, threads: str, runs: str) -> dict:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # List the operations without XNNPACK, which replaces them by one of its own.
    plain = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    operations = plain._get_ops_details()
    interpreter = Interpreter(path, num_threads=int(threads))
    interpreter.allocate_tensors()
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs, expected one")
    given = Path(folder, "images.npy")
    images = _batches(np.load(given) if given.exists() else None, tuple(map(int, inputs[0]["shape"])))
    raw = _quantize(images, inputs[0]["dtype"], *inputs[0]["quantization"])
    outputs = _outputs(interpreter)
    rows = []
    for batch in raw:
        interpreter.set_tensor(inputs[0]["index"], batch)
        interpreter.invoke()
        rows.append([interpreter.get_tensor(o["index"]) for o in outputs.values()])
    times = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    np.savez(f"{folder}/cpu.npz", *map(np.stack, zip(*rows, strict=True)), images=images, raw=raw)
    return {
        "precision": _precision(operations),
        "operations": Counter(o["op_name"] for o in operations),
        "quantization": {name: o["quantization"] for name, o in outputs.items()},
        "latency_ms": 1000 * statistics.median(times),
    }


def _outputs(interpreter) -> dict[str, dict]:
    """Return the outputs by their names in the signature, or by the tensors' names in a file without one."""
    signatures = interpreter.get_signature_list()
    if signatures:
        return interpreter.get_signature_runner(next(iter(signatures))).get_output_details()
    return {o["name"]: o for o in interpreter.get_output_details()}


def _precision(operations: list[dict]) -> str:
    """Tell the precision by what the operations read: integer activations, integer weights, or 16-bit weights."""
    integers = {np.int8, np.uint8}
    reads = [(o["op_name"], o["operand_types"]) for o in operations if o["op_name"] != "CAST"]
    types = {t for _, operands in reads for t in operands}
    if any(o[:1] and o[0] in integers for name, o in reads if name not in ("QUANTIZE", "DEQUANTIZE")):
        return "int8"
    return "dynamic" if types & integers else "float16" if np.float16 in types else "float32"


def _batches(images: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return the images, or else seeded noise, as float32 (runs, *shape)."""
    if images is None:
        return np.random.default_rng(0).uniform(0, 1, (1, *shape)).astype(np.float32)
    if not images.size or images.shape[1:] != shape[1:] or len(images) % shape[0]:
        raise ValueError(f"its input has shape {shape}, received images of shape {images.shape}")
    return images.reshape(-1, *shape).astype(np.float32)


def _quantize(images: np.ndarray, dtype: type, scale: float, zero: int) -> np.ndarray:
    if dtype == np.float32:
        return images
    limits = np.iinfo(dtype)
    return np.clip(np.round(images / (scale or 1 / 255) + zero), limits.min, limits.max).astype(dtype)


def _gpu(path: str, folder: str) -> dict:
    from ai_edge_litert.compiled_model import CompiledModel, GpuOptions, HardwareAccelerator, Options

    _load_vulkan()
    options = Options(HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=True))
    model = CompiledModel.from_file(path, options=options)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    rows = []
    for batch in np.load(f"{folder}/raw.npy"):
        inputs[0].write(np.ascontiguousarray(batch))
        model.run_by_index(0, inputs, outputs)
        rows.append([_read(buffer) for buffer in outputs])
    np.savez(f"{folder}/gpu.npz", *map(np.stack, zip(*rows, strict=True)))
    return {"delegated": model.is_fully_accelerated(), "names": model.get_signature_by_index(0)["outputs"]}


def _read(buffer) -> np.ndarray:
    details = buffer.get_tensor_details()
    shape = details["shape"]
    return buffer.read(int(np.prod(shape)), np.dtype(details["dtype"]).type).reshape(shape)


def _load_vulkan() -> None:
    """Load the Vulkan loader that Chromium has beside its driver, if the system has none."""
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError:
        drivers = [os.environ[name] for name in VULKAN_VARIABLES if os.environ.get(name)]
        beside = Path(drivers[0] if drivers else SWIFTSHADER).with_name("libvulkan.so.1")
        if beside.exists():
            ctypes.CDLL(str(beside))


def _main(device: str, path: str, folder: str, *arguments: str) -> None:
    try:
        report = (_cpu if device == "cpu" else _gpu)(path, folder, *arguments)
    except Exception as error:  # whatever LiteRT raises is a result
        report = {"error": " ".join(str(error).split()).split("└ ")[-1]}
    Path(folder, f"{device}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
