"""All networks by name: one table of the backbones and the detectors."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any, NamedTuple

import keras

from . import backbones
from .detection import models
from .detection.detector import Detector
from .names import find

BACKBONE, DETECTOR = "backbone", "detector"
FAMILIES = {BACKBONE: backbones.FAMILIES, DETECTOR: models.FAMILIES}
GETTERS = {BACKBONE: "get_model", DETECTOR: "get_detector"}


class Network(NamedTuple):
    """A network's entry in the table."""

    kind: str  # `BACKBONE` or `DETECTOR`
    spec: Any  # its row, with `published` figures
    build: Callable[..., keras.Model]  # its constructor
    family: ModuleType  # the module of its row and constructor


NETWORKS = {
    name: Network(kind, spec, getattr(family, name), family)
    for kind, families in FAMILIES.items()
    for family in families
    for name, spec in family.VARIANTS.items()
}


def network(name, kind=None, argument="name"):
    """Return the `Network` of a name, of one kind or (None) of either; `argument` is what errors call the name."""
    found = find(name, NETWORKS, "a network's name", argument)
    if kind not in (None, found.kind):
        raise ValueError(
            f"{argument} must be a {kind}'s name. Received: {argument}={name!r}, a {found.kind}'s; "
            f"{GETTERS[found.kind]} builds it"
        )
    return found


def name_of(model):
    """Return the network's name that, in lower case, is a Keras or tf-keras model's name; None for none."""
    return next((name for name in NETWORKS if name.lower() == model.name), None)


def network_of(model):
    """Return the `Network` of a model by its name; None for none, see `name_of`."""
    return NETWORKS.get(name_of(model))


def list_models(pattern: str = "*") -> list[str]:
    """List the names of the backbones.

    Args:
        pattern: shell-style pattern that the names must match, case-sensitive.

    Returns:
        The names, sorted.

    Example:
        >>> import cspkeras
        >>> cspkeras.list_models("CSPRes*50")
        ['CSPResNeXt50', 'CSPResNet50']
    """
    return _names(pattern, BACKBONE)


def list_detectors(pattern: str = "*") -> list[str]:
    """List the names of the detectors.

    Args:
        pattern: shell-style pattern that the names must match, case-sensitive.

    Returns:
        The names, sorted.

    Example:
        >>> import cspkeras
        >>> cspkeras.list_detectors("YOLOv*")
        ['YOLOv3', 'YOLOv4', 'YOLOv4Tiny']
    """
    return _names(pattern, DETECTOR)


def get_model(name: str, /, **options: Any) -> keras.Model:
    """Build a backbone by its name.

    Args:
        name: one of `list_models()`.
        **options: the constructor's arguments.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: for an unknown name, with the nearest known ones, and for a detector's name.

    Example:
        >>> import cspkeras
        >>> model = cspkeras.get_model("CSPPeleeNet", input_shape=(64, 64, 3), classes=3)
        >>> model.output_shape
        (None, 3)
    """
    return network(name, BACKBONE).build(**options)


def get_detector(name: str, /, **options: Any) -> Detector:
    """Build a detector by its name.

    Args:
        name: one of `list_detectors()`.
        **options: the constructor's arguments.

    Returns:
        A `Detector`.

    Raises:
        ValueError: for an unknown name, with the nearest known ones, and for a backbone's name.

    Example:
        >>> import cspkeras
        >>> detector = cspkeras.get_detector("YOLOv4Tiny", classes=["cat", "dog"], input_shape=(64, 64, 3))
        >>> detector.class_names
        ('cat', 'dog')
    """
    return network(name, DETECTOR).build(**options)


def _names(pattern, kind):
    return sorted(name for name, found in NETWORKS.items() if found.kind == kind and fnmatchcase(name, pattern))
