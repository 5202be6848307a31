"""All named detectors: their table, and how to list and build them."""

from fnmatch import fnmatchcase

from ..backbones.registry import by_name
from . import catalogue, yolox

FAMILIES = (catalogue, yolox)
VARIANTS = {name: spec for family in FAMILIES for name, spec in family.VARIANTS.items()}
_CONSTRUCTORS = {name: getattr(family, name) for family in FAMILIES for name in family.VARIANTS}


def list_detectors(pattern="*"):
    """The detectors' names, sorted.

    Args:
        pattern: of the wanted names, as in a shell: "CSP*".
    """
    return sorted(name for name in VARIANTS if fnmatchcase(name, pattern))


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
    return by_name(name, _CONSTRUCTORS, "a detector's")(**options)
