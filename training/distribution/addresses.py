"""Addresses of other machines."""

import re
import socket


def resolved(address, option):
    """Return (host, port) of a text "host:port", an IPv6 address in brackets; raise a ValueError unless it resolves.

    `option` is the command's option that it comes from, for errors.
    """
    host, _, port = address.rpartition(":")
    if not (host and re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 2**16):
        raise ValueError(f"{option}: expected host:port. Received: {address!r}")
    host = host.strip("[]")
    try:
        socket.getaddrinfo(host, int(port))
    except (OSError, UnicodeError) as e:
        raise ValueError(f"{option}: {address} does not resolve ({getattr(e, 'strerror', None) or e})") from e
    return host, int(port)
