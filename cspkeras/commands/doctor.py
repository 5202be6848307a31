"""The sub-command `doctor`: what a report of a fault has to say of this machine."""

import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from .arguments import add_command

PACKAGE = "cspkeras"
NO_EXTRA = ""  # of what is always needed


def add(commands):
    """Add `doctor` to the sub-commands."""
    about = "Say what is installed here, what is missing, and whether a file runs on LiteRT: for a report of a fault."
    add_command(commands, "doctor", run, about, "")


def run(options):
    """Print the machine, the packages by extras, and what a file of one layer does."""
    print(f"{PACKAGE} {version(PACKAGE)}, Python {platform.python_version()}, {platform.platform()}")
    print(f"{os.cpu_count()} cores{_memory()}; GPUs that Keras sees: {_gpus()}")
    for extra, needed in _requirements().items():
        there, missing = [], []
        for requirement in needed:
            found = _version(requirement.name)
            fits = found and requirement.specifier.contains(found, prereleases=True)
            (there if fits else missing).append(f"{requirement.name} {found}" if fits else str(requirement))
        lacking = f"; MISSING {', '.join(missing)}: pip install '{PACKAGE}{extra and f'[{extra}]'}'" if missing else ""
        print(f"{extra or 'needed'}: {', '.join(there) or 'nothing'}{lacking}")
    print(f"a .tflite file of one layer: {_tried()}")


def _memory():
    if not hasattr(os, "sysconf"):
        return ""
    return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB of memory"


def _gpus():
    import keras

    found = [device for device in keras.distribution.list_devices() if "cpu" not in device.lower()]
    return f"{', '.join(found) or 'none'} (backend {keras.backend.backend()})"


def _requirements():
    """Return {extra: its requirements for this Python}, those that are always needed first; not of groups of extras."""
    from packaging.requirements import Requirement

    found = {}
    for requirement in map(Requirement, requires(PACKAGE)):
        extra = str(requirement.marker or "").rpartition('extra == "')[2].rstrip('"') or NO_EXTRA
        if requirement.name != PACKAGE and (not requirement.marker or requirement.marker.evaluate({"extra": extra})):
            requirement.marker = None
            found.setdefault(extra, []).append(requirement)
    return found


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _tried():
    import keras

    from ..tflite import check, convert

    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 3)(image))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = check(convert(model, Path(folder, "layer.tflite")), runs=1)
        except (ImportError, OSError, RuntimeError) as e:
            return str(e)
    return f"CPU {'; '.join(found.faults) or 'well'}; GPU {found.gpu_note}"
