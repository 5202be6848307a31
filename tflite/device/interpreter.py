"""A .tflite file in the TFLite runtime that is installed."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from typing import TYPE_CHECKING

import numpy as np

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

if __package__ or TYPE_CHECKING:
    from .contents import check_tensors
    from .limits import MEMORY
else:  # as a script
    from contents import check_tensors
    from limits import MEMORY


def find_runtime():
    """Import the interpreter module of the TFLite runtime that is installed."""
    packages = ["ai_edge_litert"] + ["tflite_runtime"] * (np.__version__ < "2")  # it was built for NumPy 1
    for package in packages:
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"{package}.interpreter")
    raise ImportError("no TFLite runtime: pip install ai-edge-litert (or tflite-runtime 'numpy<2')")


@contextlib.contextmanager
def runtime_calls(what):
    """Call the runtime in a block, in `MEMORY` on Linux, and turn its errors into ValueErrors of one line.

    Operations may make more of their inputs than the file claims. `what` begins them.
    """
    before = _limit(MEMORY.most)
    try:
        yield
    except (MemoryError, OSError, RuntimeError, ValueError) as error:
        # The runtime says nothing when memory runs out.
        why = " ".join(str(error).split()) or f"it takes {MEMORY.exceeded}"
        raise ValueError(f"{what}: {why}") from error
    finally:
        if before:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def _limit(more):
    """Let the process take so many more bytes; return its limits of before, or None where that can't be."""
    try:
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return None
    before = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [now + more, *(bound for bound in before if bound != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), before[1]))
    return before


def load(path, threads, delegate, size):
    """Load a file into an Interpreter, ready to run; `size` (height, width) is for an input that has none."""
    runtime, options = find_runtime(), {}
    check_tensors(path)
    with runtime_calls("the TFLite runtime refuses it"):
        if delegate != "cpu":
            library = "libtensorflowlite_gpu_delegate.so" if delegate == "gpu" else delegate
            ctypes.CDLL(library)  # what can't be loaded makes the runtime's own loader print a traceback
            options["experimental_delegates"] = [runtime.load_delegate(library)]
        interpreter = runtime.Interpreter(str(path), num_threads=threads, **options)
    inputs, signatures = interpreter.get_input_details(), list(interpreter.get_signature_list())
    if len(signatures) > 1:
        raise ValueError(f"holds {len(signatures)} networks ({', '.join(signatures)}), expected one signature")
    shape = the_image([(tensor["name"], open_shape(tensor)) for tensor in inputs])
    sides, channels, channels_first = image_layout(shape, size)
    shape = (max(1, shape[0]), *((channels, *sides) if channels_first else (*sides, channels)))
    with runtime_calls("the TFLite runtime refuses it"):
        if shape != tuple(inputs[0]["shape"].tolist()):
            interpreter.resize_tensor_input(inputs[0]["index"], shape)
        interpreter.allocate_tensors()
    return interpreter


def open_shape(tensor):
    """Return the shape in a tensor's details, -1 where it is open."""
    shape = tensor.get("shape_signature", ())
    return tuple((shape if len(shape) else tensor["shape"]).tolist())


def the_image(inputs):
    """Return the shape of the only one of the inputs, (name, shape) pairs."""
    if len(inputs) != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in inputs)
        raise ValueError(f"takes {len(inputs)} inputs ({listed}), expected one, an image")
    return inputs[0][1]


def image_layout(shape, size=None):
    """Return an input's (height, width), its number of channels, and whether these stand before its sides.

    `size` (height, width) goes before that of the shape. A ValueError says why the shape is not an image's.
    """
    channels_first = len(shape) == 4 and shape[3] not in (1, 3)
    if len(shape) != 4 or shape[1 if channels_first else 3] not in (1, 3):
        layouts = "(1, height, width, channels) or (1, channels, height, width), 3 channels or 1"
        raise ValueError(f"its input {tuple(shape)} is not an image, expected {layouts}")
    sides = tuple(size or (shape[2:] if channels_first else shape[1:3]))
    if min(sides) < 1:
        raise ValueError(f"its input {tuple(shape)} has no size; give --size HEIGHT WIDTH")
    return tuple(int(side) for side in sides), int(shape[1 if channels_first else 3]), channels_first


def output_details(interpreter):
    """Return the details of the outputs by name: the signature's, or else the tensors'."""
    if list(interpreter.get_signature_list()):
        return interpreter.get_signature_runner().get_output_details()
    return {tensor["name"]: tensor for tensor in interpreter.get_output_details()}
