"""Write files so that none ever carries its final name half-written, and nothing stays of a process that was killed."""

import errno
import json
import os
import re
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
UNFINISHED = ".unfinished"  # what a `scratch` folder's name ends with


@contextmanager
def replacing(path):
    """Yield a temporary path to write to; it replaces `path` when the block ends without an error.

    A missing folder is made. An OSError names what can't be written, is a folder, or is on a full disk.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, expected the name of a file to write")
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(scratch(path.parent, path.name))
        except (FileExistsError, NotADirectoryError) as e:
            raise NotADirectoryError(f"{path.parent}: is not a folder, expected one to write {path.name} into") from e
        except OSError as e:
            raise OSError(f"{path.parent}: can't be written ({e.strerror}), expected a folder for {path.name}") from e
        # The same name in a folder of its own: some writers look at the suffix.
        aside = folder / path.name
        try:
            yield aside
            os.replace(aside, path)
        except OSError as e:
            if e.errno not in DISK_FULL:
                raise
            raise OSError(f"{path}: can't be written, the disk is full") from e


def write_json(path, value):
    """Write a JSON file by way of `replacing`."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")


@contextmanager
def scratch(parent=None, name="cspkeras"):
    """Yield a folder for the length of the block, in `parent` or where the system has temporary files.

    First those of the same name go that processes have left that were killed. An OSError of the block names `parent`
    where the disk is full.
    """
    parent = Path(parent or tempfile.gettempdir())
    with suppress(PermissionError):  # a folder may be written and not listed
        for left in parent.iterdir():
            if re.fullmatch(rf"\.{re.escape(name)}\.\w+{re.escape(UNFINISHED)}", left.name):
                _remove_unheld(left)
    held = None
    while held is None:
        folder = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=UNFINISHED, dir=parent))
        with suppress(FileNotFoundError):  # another process took it for one that was left
            held = hold(folder, wait=True)
            if not folder.exists():
                os.close(held)
                held = None
    try:
        yield folder
    except OSError as e:
        if e.errno not in DISK_FULL:
            raise
        raise OSError(f"{parent}: can't be written, the disk is full") from e
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def hold(folder, wait=False):
    """Hold a folder until the descriptor that is returned is closed, or the process ends in whatever way.

    BlockingIOError: it is held already, and `wait` isn't set. On a file system without locks nothing is held.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, wait)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        pass
    return descriptor


def _lock(descriptor, wait):
    if not fcntl:
        raise OSError("no locks")
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _remove_unheld(folder):
    with suppress(OSError):  # it is held, another user's, or gone; without locks nobody can tell
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _lock(descriptor, wait=False)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
