"""What runs in the template and in the worker processes that it forks."""

import ctypes
import gc
import importlib
import os
import pickle
import signal
import socket
import traceback
import warnings

from .memory import mapped, unpack
from .quiet import quiet_imports

PR_SET_PDEATHSIG = 1
PATIENCE = 5  # seconds between two looks whether the parent is alive; mostly the closed socket tells
REPORT, MADE, FAILED = "report", "made", "failed"


def main(control, parent, modules):
    """Import `modules`, then fork a worker whenever the parent process asks for one, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies; the parent sees their end by their sockets
    with quiet_imports():
        for name in modules.split(","):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else a worker's collector would copy all of the shared pages
    control = socket.socket(fileno=int(control))
    control.settimeout(PATIENCE)
    while os.getppid() == int(parent):
        try:
            asked, descriptors, *_ = socket.recv_fds(control, 1, 3)
        except TimeoutError:
            continue
        if not asked:
            return
        if os.fork() == 0:
            control.close()
            _as_worker(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _as_worker(*descriptors):
    template = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if os.getppid() == template:
            work(*descriptors)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent needs it no more
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def work(connection, description, memory):
    """Make batches until the connection is closed.

    Args:
        connection: descriptor of a socket; from it come pickled pairs of a slot and a batch's number; to it go
            pickled answers: (REPORT, line) any number of times, then (MADE, what `make` returned) or (FAILED,
            exception).
        description: `pack` of (build, shape): `build(report)` returns `make`, a function of (a batch's number, an array
            (rows, height, width, 3) for its images), which fills the array.
        memory: of the slots, arrays of `shape` and uint8.
    """
    stream = socket.socket(fileno=connection).makefile("rwb")

    def answer(*message):
        stream.write(_pickled(message))
        stream.flush()

    def report(line):
        answer(REPORT, line)

    warnings.showwarning = lambda message, *others, **more: report(str(message))
    build, shape = unpack(description)
    slots = mapped(memory).reshape(-1, *shape)
    make = None
    while True:
        slot, number = pickle.load(stream)
        try:
            make = make or build(report)
            made = make(number, slots[slot])
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as e:
            e.add_note(f"In a data worker:\n{traceback.format_exc()}")
            answer(FAILED, e)
        else:
            answer(MADE, made)


def _pickled(message):
    try:
        pickled = pickle.dumps(message, protocol=5)
        pickle.loads(pickled)
    except Exception:  # of an exception that can't be pickled, which has arguments of its own
        kind, error = message
        pickled = pickle.dumps((kind, RuntimeError(f"{type(error).__name__}: {error}")), protocol=5)
    return pickled
