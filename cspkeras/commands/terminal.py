"""What the commands say on the terminal: log lines, and an error of any kind as one line.

`main` makes both standard streams `printable_output` for the length of a command, so that a plain print is enough.
"""

import re
import sys

from ..tflite.device.printing import one_line, printable, printable_output

__all__ = ["log", "one_line", "printable", "printable_output", "reason"]

# Raised with a message that is made for the user.
FORESEEN = ImportError, OSError, ValueError, RuntimeError, FloatingPointError
UNFORESEEN = NotImplementedError, RecursionError  # those RuntimeErrors that are not
LESS_MEMORY = "less is needed by a smaller batch, smaller images or a smaller network"
# What TensorFlow writes around its message: a place in its graph, and whole lines on places in the code.
GRAPH_PLACE = re.compile(r"{{function_node .*?}} | \[Op:.*")
CODE_PLACE = re.compile(r"\s|Graph execution error|Detected at node|<stack traces|Traceback|$")


def log(line):
    """Print a line to the standard error; the standard output has a command's result alone."""
    print(str(line).replace("\n", "\\n"), file=sys.stderr)  # a file's name may be of several lines


def reason(error):
    """Return what an error says; of one that no code foresees, that this is so."""
    message = str(error)
    tensorflow = sys.modules.get("tensorflow.python.framework.errors_impl")  # which is loaded where it raises errors
    if tensorflow and isinstance(error, tensorflow.OpError):
        message = _of_tensorflow(error)
        if not isinstance(error, tensorflow.ResourceExhaustedError) or "No space left" in message:
            return f"TensorFlow: {message}"
        error = MemoryError(message)
    if isinstance(error, MemoryError):
        return f"out of memory{message and f' ({message})'}; {LESS_MEMORY}"
    if isinstance(error, ImportError):
        known = "cspkeras[" in message  # which extra it is
        return message if known else f"{message}; install what is missing with: pip install 'cspkeras[all]'"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"  # without "[Errno 2]"
    if message and isinstance(error, FORESEEN) and not isinstance(error, UNFORESEEN):
        return message
    name = type(error).__name__
    return f"{name}{message and f': {message}'}; this is a fault of cspkeras, --traceback shows where"


def _of_tensorflow(error):
    lines = GRAPH_PLACE.sub("", error.message or "").splitlines()
    return next((line for line in lines if not CODE_PLACE.match(line)), type(error).__name__)
