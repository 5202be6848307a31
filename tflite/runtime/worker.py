"""Run a .tflite file on LiteRT's CPU or GPU delegate: `litert` starts this file as a script, in a process of its own.

It imports nothing of cspkeras, to start quickly. Arrays and a report in JSON go through a folder.
"""

import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

# A Vulkan driver in software, where Debian's chromium puts it. LiteRT's delegate refuses Mesa's (llvmpipe).
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
VULKAN_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")


def save_arrays(path, arrays: dict[str, np.ndarray]) -> None:
    """Save arrays by names of any characters, in their order."""
    np.savez(path, *arrays.values(), names=np.array(list(arrays), str))


def load_arrays(path) -> dict[str, np.ndarray]:
    """Load what `save_arrays` saved."""
    with np.load(path) as file:
        return {name: file[f"arr_{i}"] for i, name in enumerate(file["names"].tolist())}


class WrongInputs(ValueError):
    """The given inputs are not the file's."""


def cpu(path: str, folder: str, threads: str, runs: str) -> dict:
    """Run the file on what is given, or on noise; report its operations, outputs and time."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=int(threads))
    interpreter.allocate_tensors()
    taken, outputs = _signature(interpreter)
    if not taken:
        raise ValueError("it has no inputs")
    given = Path(folder, "given.npz")
    inputs, raw = _inputs(taken, load_arrays(given) if given.exists() else None)
    rows = []
    for row in zip(*raw.values(), strict=True):
        for tensor, values in zip(taken.values(), row, strict=True):
            interpreter.set_tensor(tensor["index"], values)
        interpreter.invoke()
        rows.append([interpreter.get_tensor(tensor["index"]) for tensor in outputs.values()])
    times = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    save_arrays(f"{folder}/inputs.npz", inputs)
    save_arrays(f"{folder}/raw.npz", raw)
    save_arrays(f"{folder}/outputs.npz", dict(zip(outputs, map(np.stack, zip(*rows, strict=True)), strict=True)))
    return {
        **graph(path, folder),
        "quantization": {name: tensor["quantization"] for name, tensor in outputs.items()},
        "latency_ms": 1000 * statistics.median(times),
    }


def graph(path: str, folder: str) -> dict:
    """Report the operations in the order of execution, and the tensors between them, without running the file."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Without XNNPACK, which replaces operations by one of its own.
    plain = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    operations = [
        (o["op_name"], [int(i) for i in o["inputs"] if i >= 0], o["outputs"].tolist()) for o in plain._get_ops_details()
    ]
    tensors = {
        tensor["index"]: (
            tensor["name"],
            np.dtype(tensor["dtype"]).name,
            tensor["shape"].tolist(),
            bool(len(tensor["quantization_parameters"]["scales"])),
        )
        for tensor in plain.get_tensor_details()
    }
    inputs = [tensor["index"] for tensor in plain.get_input_details()]
    return {"graph": {"operations": operations, "tensors": tensors, "inputs": inputs}}


def _signature(interpreter) -> tuple[dict, dict]:
    """Return the inputs and outputs by their names in the signature, or the tensors' names in a file without one."""
    signatures = interpreter.get_signature_list()
    if signatures:
        runner = interpreter.get_signature_runner(next(iter(signatures)))
        return runner.get_input_details(), runner.get_output_details()
    both = interpreter.get_input_details(), interpreter.get_output_details()
    inputs, outputs = ({tensor["name"]: tensor for tensor in tensors} for tensors in both)
    return inputs, outputs


def _inputs(taken: dict, given: dict | None) -> tuple[dict, dict]:
    """Return by name what a reference takes and what the file takes, (runs, *input shape) each."""
    if given is None:
        rng = np.random.default_rng(0)
        pairs = {name: _quantized(_noise(rng, name, tensor), tensor) for name, tensor in taken.items()}
    else:
        if len(taken) == len(given) == 1:
            given = dict(zip(taken, given.values(), strict=True))
        if set(given) != set(taken):
            wanted = ", ".join(f"{name!r} {tuple(tensor['shape'].tolist())}" for name, tensor in taken.items())
            received = ", ".join(map(repr, given)) if "" not in given else "one array without a name"
            raise WrongInputs(f"its inputs are {wanted}; received {received}")
        pairs = {name: _quantized(_batches(name, given[name], tensor), tensor) for name, tensor in taken.items()}
        runs = {name: len(raw) for name, (_, raw) in pairs.items()}
        if len(set(runs.values())) > 1:
            raise WrongInputs(f"each input needs the same number of runs, received {runs}")
    return {name: values for name, (values, _) in pairs.items()}, {name: raw for name, (_, raw) in pairs.items()}


def _noise(rng, name: str, tensor: dict) -> np.ndarray:
    dtype, shape = np.dtype(tensor["dtype"]), (1, *tensor["shape"].tolist())
    if dtype.kind not in "fiub":
        raise ValueError(f"its input {name!r} is of {dtype.name}, numbers are expected")
    if dtype.kind == "f" or tensor["quantization"][0]:
        return rng.uniform(0, 1, shape).astype(np.float32)
    # Pixels have every value; wider numbers may be indices, of which 0 and 1 are hardly beyond what there is.
    return rng.integers(0, 256 if dtype == np.uint8 else 2, shape).astype(dtype)


def _batches(name: str, values: np.ndarray, tensor: dict) -> np.ndarray:
    """Return given values as (runs, *input shape)."""
    shape = tuple(tensor["shape"].tolist())
    whole = len(values) % (shape[0] if shape else 1) == 0 if values.ndim else False
    if values.dtype.kind not in "fiub" or not values.size or values.shape[1:] != shape[1:] or not whole:
        received = f"{values.dtype.name} of shape {values.shape}"
        raise WrongInputs(f"its input {name!r} has shape {shape}, its first axis for a batch; received {received}")
    if not np.isfinite(values).all():
        raise WrongInputs(f"its input {name!r} takes finite numbers; received some that are not")
    return values.reshape(-1, *shape)


def _quantized(values: np.ndarray, tensor: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the values themselves, and as the file takes them; whole numbers go into integers as they are."""
    dtype, (scale, zero) = np.dtype(tensor["dtype"]), tensor["quantization"]
    if dtype.kind == "f":
        return values.astype(np.float32), values.astype(dtype)
    if dtype.kind == "b":
        return values.astype(bool), values.astype(bool)
    limits = np.iinfo(dtype)
    if values.dtype.kind == "f" and scale:
        raw = np.round(values / scale) + zero
        return values.astype(np.float32), np.clip(raw, limits.min, limits.max).astype(dtype)
    raw = np.clip(np.round(values), limits.min, limits.max).astype(dtype)
    return (raw.astype(np.float32) - zero) * np.float32(scale) if scale else raw, raw


def gpu(path: str, folder: str) -> dict:
    """Run the file on the delegate alone, on the inputs of a run on the CPU."""
    from ai_edge_litert.compiled_model import CompiledModel, GpuOptions, HardwareAccelerator, Options

    _load_vulkan()
    options = Options(HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=True))
    model = CompiledModel.from_file(path, options=options)
    signature, given = model.get_signature_by_index(0), load_arrays(f"{folder}/raw.npz")
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    # A file without a signature has other names here, in the same order.
    named = set(signature["inputs"]) == set(given)
    raw = [given[name] for name in signature["inputs"]] if named else list(given.values())
    rows = []
    for row in zip(*raw, strict=True):
        for buffer, values in zip(inputs, row, strict=True):
            buffer.write(np.ascontiguousarray(values))
        model.run_by_index(0, inputs, outputs)
        rows.append([_read(buffer) for buffer in outputs])
    arrays = map(np.stack, zip(*rows, strict=True))
    save_arrays(f"{folder}/outputs.npz", dict(zip(signature["outputs"], arrays, strict=True)))
    return {"delegated": model.is_fully_accelerated()}


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


def _main(mode: str, path: str, folder: str, *arguments: str) -> None:
    try:
        modes: dict[str, Callable[..., dict]] = {"cpu": cpu, "gpu": gpu, "graph": graph}
        report = modes[mode](path, folder, *arguments)
    except WrongInputs as error:
        report = {"wrong_inputs": str(error)}
    except Exception as error:  # whatever LiteRT raises is a result
        report = {"error": " ".join(str(error).split()).split("└ ")[-1]}
    Path(folder, f"{mode}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
