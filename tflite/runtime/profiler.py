"""Time a .tflite file on LiteRT's CPU, in a process of its own: `benchmark` starts this file as a script.

`latency` times whole runs by LiteRT's Interpreter. `profile` asks LiteRT's C library how long each operation took: its
Python API has no profiler. Both run on what `worker` saved as raw.npz in the folder. This file imports nothing of
cspkeras, which would count as memory.
"""

import ctypes
import json
import re
import statistics
import sys
import time
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np

WARM_UP = 5  # runs that are not counted
CPU = 1  # LiteRT's number of that accelerator
WRITE = 1  # and of a buffer locked for writing
# Types of a profiler's events: an operation of TFLite's own, an operation inside a delegate.
OPERATION, DELEGATED = 2, 8
# The releases of LiteRT whose C API and `_Event` are those used here; another may differ without an error.
RELEASES = ("2.3",)


class _Event(ctypes.Structure):
    """ProfiledEventData of litert/c/litert_profiler_event.h."""

    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start", ctypes.c_uint64),
        ("microseconds", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("index", ctypes.c_uint64),
        ("status", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


def latency(path: str, folder: str, threads: str, runs: str) -> dict:
    """Measure each run's milliseconds, the memory that the file takes in this process, and its arena."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    before = _resident()
    interpreter = Interpreter(path, num_threads=int(threads))
    interpreter.allocate_tensors()
    signatures, given = interpreter.get_signature_list(), _inputs(folder)
    if signatures:
        taken = interpreter.get_signature_runner(next(iter(signatures))).get_input_details()
    else:
        taken = {tensor["name"]: tensor for tensor in interpreter.get_input_details()}
    for name, values in given.items():
        interpreter.set_tensor(taken[name]["index"], values)
    times = []
    for _ in range(WARM_UP + int(runs)):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(1000 * (time.perf_counter() - start))
    after = _resident("VmHWM")
    plain = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    plain.allocate_tensors()
    return {
        "times": times[WARM_UP:],
        "memory_bytes": after - before if before and after else None,
        "arena_bytes": _arena(plain, plain._get_ops_details()),
    }


def _inputs(folder: str) -> dict[str, np.ndarray]:
    """Return one run's inputs by their names."""
    with np.load(f"{folder}/raw.npz") as file:
        return {name: file[f"arr_{i}"][0] for i, name in enumerate(file["names"].tolist())}


def _resident(field: str = "VmRSS") -> int | None:
    """Return this process's memory in bytes, on Linux: now, or at most (VmHWM)."""
    status = Path("/proc/self/status")
    found = re.search(rf"{field}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else None


def _arena(interpreter, operations: list[dict]) -> int:
    """Return the span of memory in which TFLite's planner put the inputs and all operations' results."""
    indices = {tensor["index"] for tensor in interpreter.get_input_details()}
    indices.update(int(index) for operation in operations for index in operation["outputs"])
    spans = []
    for index in indices:
        try:
            tensor = interpreter.tensor(index)()
        except ValueError:  # allocated when it runs
            continue
        if isinstance(tensor, np.ndarray):  # a single number comes as a copy
            spans.append((tensor.ctypes.data, tensor.ctypes.data + tensor.nbytes))
    return max(end for _, end in spans) - min(start for start, _ in spans)


def profile(path: str, folder: str, threads: str, runs: str) -> dict:
    """Measure each operation: (kernel, milliseconds, whether a delegate's), in the order of execution."""
    _check_release()
    library = ctypes.CDLL(str(distribution("ai-edge-litert").locate_file("ai_edge_litert/libLiteRt.so")))

    def call(name, *arguments):
        status = getattr(library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} returned status {status}")

    def new(name, *arguments):
        made = ctypes.c_void_p()
        call(name, *arguments, ctypes.byref(made))
        return made

    def get(name, *arguments, kind=ctypes.c_size_t):
        answer = kind()
        call(name, *arguments, ctypes.byref(answer))
        return answer.value

    first = ctypes.c_size_t(0)
    environment = new("LiteRtCreateEnvironment", 0, None)
    model = new("LiteRtCreateModelFromFile", environment, path.encode())
    options = new("LiteRtCreateOptions")
    call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
    settings = {"xnnpack": f"num_threads = {threads}\n", "runtime_options_string": "enable_profiling = true\n"}
    texts = [ctypes.create_string_buffer(text.encode()) for text in settings.values()]  # alive as long as the model
    for identifier, text in zip(settings, texts, strict=True):
        given = new("LiteRtCreateOpaqueOptions", identifier.encode(), text, _FREE)
        call("LiteRtAddOpaqueOptions", options, given)
    compiled = new("LiteRtCreateCompiledModel", environment, model, options)
    signature = new("LiteRtGetModelSignature", model, first)

    def buffers(kind):
        made = []
        for i in map(ctypes.c_size_t, range(get(f"LiteRtGetNumSignature{kind}s", signature))):
            tensor = new(f"LiteRtGetSignature{kind}TensorByIndex", signature, i)
            layout = ctypes.create_string_buffer(1024)
            call("LiteRtGetRankedTensorType", tensor, layout)
            wanted = new(f"LiteRtGetCompiledModel{kind}BufferRequirements", compiled, first, i)
            made.append(new("LiteRtCreateManagedTensorBufferFromRequirements", environment, layout, wanted))
        return made, (ctypes.c_void_p * len(made))(*(one.value for one in made))

    inputs, given = buffers("Input")
    outputs, results = buffers("Output")
    values = _inputs(folder)
    names = [
        get("LiteRtGetSignatureInputName", signature, ctypes.c_size_t(i), kind=ctypes.c_char_p)
        for i in range(len(inputs))
    ]
    for i, buffer in enumerate(inputs):
        # A file without a signature has other names here, in the same order.
        content = values.get(names[i].decode(), list(values.values())[i]).tobytes()
        memory = ctypes.c_void_p()
        call("LiteRtLockTensorBuffer", buffer, ctypes.byref(memory), WRITE)
        ctypes.memmove(memory, content, min(len(content), get("LiteRtGetTensorBufferSize", buffer)))
        call("LiteRtUnlockTensorBuffer", buffer)

    def run(times):
        for _ in range(times):
            sizes = ctypes.c_size_t(len(inputs)), ctypes.c_size_t(len(outputs))
            call("LiteRtRunCompiledModel", compiled, first, sizes[0], given, sizes[1], results)

    profiler = new("LiteRtCompiledModelGetProfiler", compiled)
    run(WARM_UP)
    rows = []
    for _ in range(int(runs)):
        call("LiteRtResetProfiler", profiler)
        call("LiteRtStartProfiler", profiler)
        run(1)
        call("LiteRtStopProfiler", profiler)
        events = (_Event * get("LiteRtGetNumProfilerEvents", profiler, kind=ctypes.c_int))()
        call("LiteRtGetProfilerEvents", profiler, len(events), events)
        rows.append(
            [(e.tag.decode(), e.microseconds, e.type == DELEGATED) for e in events if e.type in (OPERATION, DELEGATED)]
        )
    operations = []
    for events in zip(*rows, strict=True):
        kernel, _, delegated = events[0]
        operations.append((kernel, statistics.median(microseconds for _, microseconds, _ in events) / 1000, delegated))
    return {"operations": operations}


def _check_release() -> None:
    release = version("ai-edge-litert")
    if ".".join(release.split(".")[:2]) not in RELEASES:
        raise RuntimeError(f"operations can be timed with ai-edge-litert {', '.join(RELEASES)}; installed is {release}")


_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda memory: None)  # Python frees the texts


def _main(mode: str, path: str, folder: str, *arguments: str) -> None:
    try:
        report = {"latency": latency, "profile": profile}[mode](path, folder, *arguments)
    except Exception as error:  # whatever LiteRT raises is a result
        report = {"error": " ".join(str(error).split())}
    Path(folder, f"{mode}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
