"""Weights by name: what the argument `weights` of a network's constructor may be beside a path."""

import functools
import inspect
import logging
import os
import re
from numbers import Integral
from pathlib import Path

from ...names import find
from .download import download
from .file import PublishedFile
from .rows import PUBLISHED

NAME = re.compile(r"(\w+)(?:@(.+))?")  # of weights, and the revision of a repository on the Hub
log = logging.getLogger("cspkeras")


def published(network, weights):
    """Return the `PublishedFile` that `weights` names, None where they are a path or None.

    A ValueError says what there is where a network has no weights of that name.
    """
    # A folder is not weights, and that of a data set may be called "coco".
    if weights is None or os.path.isfile(weights) or not (asked := NAME.fullmatch(str(weights))):
        return None
    name, revision = asked.groups()
    files = PUBLISHED.get(network, {})
    if not files:
        raise ValueError(
            f"weights must be a path: none of {network} are published; `cspkeras models --weights` lists those that "
            f"are. {_got(weights)}"
        )
    offered = [key for key, file in files.items() if file.license]
    if name not in files and len(offered) == 1:
        raise ValueError(f"weights of {network} must be a path or {offered[0]!r}. {_got(weights)}")
    if name not in files and offered:
        find(name, offered, f"a path or the name of {network}'s published ones", "weights")  # raises
    # Where none is offered, whatever the name: where those lie that are known.
    name, found = (name, files[name]) if name in files else next(iter(files.items()))
    if found.license is None:
        raise ValueError(
            f"weights {name!r} of {network} have no licence or lie on Google Drive alone: get them from {found.url} "
            f"and give the path of the file. {_got(weights)}"
        )
    if revision and not found.hub:
        raise ValueError(f"weights {name!r} of {network} have one revision: leave @{revision} out. {_got(weights)}")
    return found


def named(network: str, weights: os.PathLike[str] | str | None) -> os.PathLike[str] | str | None:
    """Return the path of published weights, which are fetched if they aren't in the cache; anything else unchanged.

    Args:
        network: the constructor's name.
        weights: the name of published weights, such as "coco", "imagenet" or "imagenet@REVISION"; a path, or None.

    Returns:
        The path, or `weights`.

    Raises:
        OSError: if the file can't be fetched, in one line with its address.
        ValueError: for a name that the network has no weights of, with what there is.

    Example:
        >>> from cspkeras.weights.published.named import named
        >>> named("YOLOXNano", "mine.keras")
        'mine.keras'
    """
    found = published(network, weights)
    return weights if found is None else fetched(found, str(weights).partition("@")[2] or None)


def fetched(file: PublishedFile, revision: str | None = None) -> Path:
    """Return the path of a published file, from the cache if it is there."""
    if file.bundled:
        return file.bundled
    if file.hub:
        from .hub import fetch

        return fetch(file.hub, file.name, revision)
    return download(file.url, file.name, file.size, file.checksum)


def by_name(constructor):
    """Let a network's constructor take its published weights by name.

    Arguments that are left None are those of the file: its classes, by their names, and its input's size. With other
    classes the heads, or the classifier, stay as initialized. The model's `origin` says where its weights are from.
    """
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def construct(*args, **kwargs):
        try:
            call = signature.bind(*args, **kwargs)
        except TypeError:
            return constructor(*args, **kwargs)  # Python's own error, with the constructor's name
        weights = call.arguments.get("weights")
        file = published(constructor.__name__, weights)
        if file is None:
            return constructor(*args, **kwargs)
        call.apply_defaults()
        _adapt(call.arguments, file, f"{constructor.__name__}(weights={str(weights)!r})")
        call.arguments["weights"] = named(constructor.__name__, weights)
        model = constructor(*call.args, **call.kwargs)
        model.origin = {"source": file.source, "license": file.license}
        return model

    return construct


def _adapt(given, file, what):
    """Change a constructor's arguments to what a file holds, where they leave it open or need other classes.

    A ValueError says that they contradict the file, before it is fetched.
    """
    if file.layout and (layout := given.get("layout")) not in (None, file.layout):
        raise ValueError(f"layout must be {file.layout!r} or None for {what}. Received: layout={layout!r}")
    own = given["classes"]
    theirs = file.classes if isinstance(file.classes, int) else len(file.classes)
    if own is None or (isinstance(own, Integral) and own == theirs):
        given["classes"] = file.classes
    elif given.get("include_top", True):
        try:
            number = own if isinstance(own, Integral) else len(own)
        except TypeError:
            return  # the constructor says what it takes
        if number == theirs:
            log.warning("%s: its %s classes are called as given here", what, theirs)
        else:
            log.warning("%s: is of %s classes, not %s: their predictions stay as initialized", what, theirs, number)
            given["skip_mismatch"] = True
    if given["input_shape"] is None and file.side:
        given["input_shape"] = (file.side, file.side, 3)


def _got(weights):
    return f"Received: weights={str(weights)!r}"
