"""All networks by name: one table of backbones and detectors."""

import difflib
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from .backbones import darknet, darknet_tiny, densenet, densenet_elastic, mobilenet, peleenet, resnet
from .detection.models import yolo, yolox

BACKBONE, DETECTOR = "backbone", "detector"
FAMILIES = {
    BACKBONE: (darknet, darknet_tiny, densenet, densenet_elastic, mobilenet, peleenet, resnet),
    DETECTOR: (yolo, yolox),
}


class Network(NamedTuple):
    """A named network.

    Attributes:
        kind: `BACKBONE` or `DETECTOR`.
        spec: its row, with `published` figures.
        build: its constructor.
        family: the module that it stands in.
    """

    kind: str
    spec: Any
    build: Callable
    family: Any


NETWORKS = {
    name: Network(kind, spec, getattr(family, name), family)
    for kind, families in FAMILIES.items()
    for family in families
    for name, spec in family.VARIANTS.items()
}


def network(name, kind=None, argument="name", whose=None):
    """The `Network` of a name.

    Args:
        name: one of `NETWORKS`.
        kind: the kind that is expected, None for either.
        argument: what the name was given as, for errors.
        whose: what is expected, for errors.

    Raises:
        ValueError: for an unknown name, with the nearest names of both kinds, and for a network of the other kind.
    """
    found = by_name(name, NETWORKS, whose or f"a {kind or 'network'}'s{'' if kind else ' name'}", argument)
    if kind and found.kind != kind:
        get = {BACKBONE: "get_model", DETECTOR: "get_detector"}[found.kind]
        raise ValueError(f"{argument} must be a {kind}'s, {name} is a {found.kind}: {get}({name!r}) builds it")
    return found


def by_name(name, known, whose, argument="name"):
    """What `known` has by a name.

    Raises:
        ValueError: where it has none; the error has the nearest names, and the `argument` that the name was given as.
    """
    if name in known:
        return known[name]
    lower = {one.lower(): one for one in known}
    near = [lower[match] for match in difflib.get_close_matches(str(name).lower(), lower)] or sorted(known)
    raise ValueError(f"{argument} must be {whose}, such as {', '.join(near)}. Received: {argument}={name!r}")


def list_models(pattern="*"):
    """List the backbones' names, sorted.

    Args:
        pattern: of the wanted names, as in a shell: "CSP*".
    """
    return _names(pattern, BACKBONE)


def list_detectors(pattern="*"):
    """List the detectors' names, sorted.

    Args:
        pattern: of the wanted names, as in a shell: "CSP*".
    """
    return _names(pattern, DETECTOR)


def get_model(name, /, **options):
    """Build a backbone by its name.

    Args:
        name: one of `list_models()`.
        **options: the constructor's arguments.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: for an unknown name, with the nearest known ones.
    """
    return network(name, BACKBONE).build(**options)


def get_detector(name, /, **options):
    """Build a detector by its name.

    Args:
        name: one of `list_detectors()`.
        **options: the constructor's arguments.

    Returns:
        A `Detector`.

    Raises:
        ValueError: for an unknown name, with the nearest known ones.
    """
    return network(name, DETECTOR).build(**options)


def _names(pattern, kind):
    return sorted(name for name, found in NETWORKS.items() if found.kind == kind and fnmatchcase(name, pattern))
