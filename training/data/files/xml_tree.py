"""XML of annotations, read without entities: chains of them fill the memory, or end the process."""

import xml.etree.ElementTree as ElementTree
from xml.parsers import expat

from .text import content

INVALID = ElementTree.ParseError, LookupError, ValueError, RecursionError  # LookupError, ValueError: unknown encodings


class _Root(Exception):
    """The first element begins, before which all entities are declared."""


def read_xml(path):
    """Return the root of an XML file, an `Element`.

    Raises:
        OSError: where it can't be read.
        ValueError: where it is not valid XML or declares entities; the message is one line and names the file.
    """
    data = content(path)
    try:
        check_entities(data)
        return ElementTree.fromstring(data)
    except INVALID as e:
        raise ValueError(f"{path}: not valid XML ({e})") from e


def check_entities(data):
    """Raise one of `INVALID` where XML, as bytes, declares entities or breaks off before its first element."""
    parser = expat.ParserCreate()
    parser.EntityDeclHandler, parser.StartElementHandler = _refuse, _stop
    try:
        parser.Parse(data, True)
    except _Root:
        pass
    except expat.ExpatError as e:
        raise ValueError(str(e)) from e


def _refuse(name, *_):
    raise ValueError(f"it declares the entity {name[:40]!r}, and entities are not read")


def _stop(*_):
    raise _Root
