"""The folder of a run: what is in it, and whether a run may begin there."""

import os
import shutil
import tempfile
from pathlib import Path

from .state import BEST, LAST

RESULTS, RECIPE, REPORT, BOARD = "results.csv", "recipe.json", "report.html", "tensorboard"
MODEL = "best.keras"


def check_folder(folder, *, resume=False, overwrite=False):
    """Raise an error where a run can't begin, or go on, in a folder; nothing is left behind.

    Args:
        folder: the run's folder; it needs not be there.
        resume: whether a run is to go on.
        overwrite: whether one that is there may be replaced.

    Raises:
        FileNotFoundError: with `resume`, where there is nothing to resume.
        FileExistsError: without, where the folder holds a run already.
        OSError: where the folder can't be written.
        ValueError: for both at once.
    """
    folder = Path(folder)
    if resume and overwrite:
        raise ValueError("--resume and --overwrite: a run goes on or is replaced, not both")
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there}: is no folder, expected one to write {RECIPE} into")
    if resume and not (folder / LAST).is_file():
        raise FileNotFoundError(f"{folder / LAST}: missing; there is no run to resume")
    if not (resume or overwrite) and (folder / LAST).exists():
        raise FileExistsError(f"{folder}: holds a run already; --resume goes on with it, --overwrite replaces it")
    try:
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        with tempfile.TemporaryDirectory(prefix=".writable.", dir=there):
            pass
    except OSError as e:
        raise OSError(f"{there}: can't be written ({e.strerror}), expected a folder for the run") from e


def clear(folder):
    """Remove what a run has left in its folder, and nothing else."""
    for name in (LAST, BEST, MODEL, RESULTS, RECIPE, REPORT):
        (Path(folder) / name).unlink(missing_ok=True)
    shutil.rmtree(Path(folder) / BOARD, ignore_errors=True)
