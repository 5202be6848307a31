"""Look names up, and for an unknown one say which are near."""

import difflib


def find(name, known, expected, argument="name"):
    """Return `known[name]`; for an unknown name raise a ValueError with `expected` and the nearest known names."""
    if name in known:
        return known[name]
    lower = {one.lower(): one for one in known}
    near = [lower[match] for match in difflib.get_close_matches(str(name).lower(), lower)] or sorted(known)
    raise ValueError(f"{argument} must be {expected}, such as {', '.join(near)}. Received: {argument}={name!r}")
