"""The folder of a run: its files, and whether a run may begin in it."""

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from ...files import hold
from .state import BEST, LAST

RESULTS, RECIPE, REPORT, BOARD = "results.csv", "recipe.json", "report.html", "tensorboard"
BEST_MODEL = "best.keras"


def check_folder(folder, *, resume=False, overwrite=False):
    """Raise an error where a run can't begin, or with `resume` continue, in a folder; nothing is changed there.

    FileNotFoundError: there is no run to resume. FileExistsError: the folder holds a run, and neither `resume` nor
    `overwrite` is set. ValueError: both are. OSError: the folder can't be written, or another run is at work in it.
    """
    folder = Path(folder)
    if resume and overwrite:
        raise ValueError("--resume and --overwrite: a run is resumed or replaced, not both")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing}: is not a folder, expected one to write {RECIPE} into")
    if existing == folder:
        os.close(_hold(folder))
    if resume and not (folder / LAST).is_file():
        raise FileNotFoundError(f"{folder / LAST}: missing; there is no run to resume")
    if not (resume or overwrite) and (folder / LAST).exists():
        raise FileExistsError(f"{folder}: holds a run already; --resume continues it, --overwrite replaces it")
    try:
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        with tempfile.TemporaryFile(dir=existing):  # which has no name
            pass
    except OSError as e:
        raise OSError(f"{existing}: can't be written ({e.strerror}), expected a folder for the run") from e


@contextmanager
def reserved(folder):
    """Make a run's folder, and keep other runs out of it for the length of the block; BlockingIOError: one is there."""
    folder = Path(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    held = _hold(folder)
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds something, as it should
                folder.rmdir()
        os.close(held)


def _hold(folder):
    try:
        return hold(folder)
    except BlockingIOError as e:
        raise BlockingIOError(f"{folder}: another run is at work there; wait for its end or name another folder") from e


def clear(folder):
    """Remove a run's files from its folder, and nothing else."""
    for name in (LAST, BEST, BEST_MODEL, RESULTS, RECIPE, REPORT):
        (Path(folder) / name).unlink(missing_ok=True)
    shutil.rmtree(Path(folder) / BOARD, ignore_errors=True)
