"""No test reaches another machine, nor does a Python that it starts: asking for one is an error where it is asked.

`sitecustomize` beside this brings it into the processes that tests start. Allowed are this machine, and names that end
in .invalid, which no machine has. Pip is not watched: the tests that build packages ask for it.
"""

import ipaddress
import socket
import sys

ADDRESS = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}


def allowed(host):
    """Return whether a host, a name or an address, is this machine, or none."""
    name = host.decode() if isinstance(host, bytes | bytearray) else host
    if not name or name in ("localhost", socket.gethostname()) or name.endswith(".invalid"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def watch(event, arguments):
    """Raise where an address of another machine is connected to, or its name is looked up."""
    if event in ADDRESS:
        address = arguments[ADDRESS[event]]
        if event in ("socket.connect", "socket.sendto"):
            if not isinstance(address, tuple):  # of another kind of socket, within this machine
                return
            address = address[0]
        if not allowed(address):
            raise PermissionError(f"a test reaches for the network: {event} {address!r}")


if not any("pip" in argument for argument in sys.orig_argv[1:3]):
    sys.addaudithook(watch)
