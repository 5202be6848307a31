"""Addresses of other machines."""

import re
import socket


def resolved(address, option):
    """Parse an address "host:port", and check that the host is known.

    Args:
        address: the text, an IPv6 address in brackets.
        option: the command's option that it comes from, for errors.

    Returns:
        (host, port).

    Raises:
        ValueError: for a text that is not an address, and a host that does not resolve.
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
