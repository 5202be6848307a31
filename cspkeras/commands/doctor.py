"""The sub-command `doctor`: what a report of a fault has to say of this machine."""

import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version

from .arguments import add_command

PACKAGE = "cspkeras"
NO_EXTRA = ""  # of what is always needed


def add(commands):
    """Add `doctor` to the sub-commands."""
    about = "Say what is installed here, what is missing, and whether a file runs on LiteRT: for a report of a fault."
    add_command(commands, "doctor", run, about, "")


def run(options):
    """Print the machine, the packages by extras, and what a file of one layer does."""
    import keras

    from ..machine import accelerators, memory

    print(f"{PACKAGE} {version(PACKAGE)}, Python {platform.python_version()}, {platform.platform()}")
    gpus = f"{', '.join(accelerators()) or 'none'} (backend {keras.backend.backend()})"
    print(f"{os.cpu_count()} cores, {memory() / 2**30:.1f} GiB of memory; GPUs that Keras sees: {gpus}")
    for extra, needed in _requirements().items():
        there, missing = [], []
        for requirement in needed:
            found = _version(requirement.name)
            fits = found and requirement.specifier.contains(found, prereleases=True)
            (there if fits else missing).append(f"{requirement.name} {found}" if fits else str(requirement))
        lacking = f"; MISSING {', '.join(missing)}: pip install '{PACKAGE}{extra and f'[{extra}]'}'" if missing else ""
        print(f"{extra or 'needed'}: {', '.join(there) or 'nothing'}{lacking}")
    print(f"a .tflite file of one layer: {_tried()}")


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

    from ..files import scratch
    from ..tflite import check, convert

    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 3)(image))
    with scratch() as folder:
        try:
            found = check(convert(model, folder / "layer.tflite"), runs=1)
        except (ImportError, OSError, RuntimeError) as e:
            return str(e)
    return f"CPU {'; '.join(found.faults) or 'well'}; GPU {found.gpu_note}"
