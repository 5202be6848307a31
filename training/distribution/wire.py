"""How a data service and its client talk: messages of JSON and arrays over TCP, which run nothing where they arrive.

A message is four bytes, the length N of its header (big-endian); N bytes of JSON, an object; and the bytes of the
arrays that its "arrays" lists as [dtype, shape], one after the other, in C order, little-endian. The service begins:

1. service: {"service": "cspkeras data", "version": 2, "nonce": hexadecimal digits}
2. client: 32 bytes alone, `proof` of the nonce and the token; nothing else is read before
3. service: {"data": `fingerprint` of what it serves}
4. client: {"size": [height, width], "batch_size", ...}: the arguments of `training_batches`
5. service: {"batches": [dtype, shape] of a batch's arrays, null for a length that varies; "targets": the names of those
   after the images, null for one without a name}
6. service: {} and the arrays of a batch, again and again. The client ends by closing.

In place of 3, 5 or 6 the service may send {"error": a line}, and ends.
"""

import hmac
import json
import socket

import numpy as np

NAME, VERSION = "cspkeras data", 2
PROOF = 32  # bytes
LENGTH = 4  # bytes
LONGEST = 2**20  # of a header; whatever else talks here is not a service
TYPES = "|u1", "<f4", "<i4"
# Seconds after which a silent machine is asked whether it is there, between two asks, and their number.
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
UNANSWERED = 30_000  # milliseconds that sent bytes may wait for their receipt


def keep_alive(connection):
    """Make a connection fail within half a minute where the other machine has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {**KEEPALIVE, "TCP_USER_TIMEOUT": UNANSWERED}.items():
        if hasattr(socket, name):  # not on each system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def proof(token, nonce):
    """Return the bytes that show the knowledge of a token, for one connection: HMAC-SHA256 of its nonce."""
    return hmac.digest(token.encode(), bytes.fromhex(nonce), "sha256")


def proven(connection, token, nonce):
    """Read the other side's `proof`, and return whether it is right."""
    return hmac.compare_digest(_bytes(connection, PROOF).tobytes(), proof(token, nonce))


def send(connection, header, arrays=()):
    """Send a message; an OSError says that the other side is gone."""
    arrays = [np.asarray(array, order="C") for array in arrays]
    text = json.dumps({**header, "arrays": [[array.dtype.str, array.shape] for array in arrays]}).encode()
    connection.sendall(len(text).to_bytes(LENGTH, "big") + text)
    for array in arrays:
        connection.sendall(array.reshape(-1).view(np.uint8))


def receive(connection, arrays=True):
    """Return (header, arrays) of the next message, which without `arrays` must have none.

    Raises:
        EOFError: where the other side has closed the connection.
        OSError: where it is gone.
        ValueError: where what arrives is not a message.
    """
    length = int.from_bytes(_bytes(connection, LENGTH), "big")
    if length > LONGEST:
        raise ValueError("what it sends is not a message of a data service")
    try:
        header = json.loads(_bytes(connection, length).tobytes())
        listed = [(dtype, tuple(map(int, shape))) for dtype, shape in header.pop("arrays")]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise ValueError("what it sends is not a message of a data service") from e
    if any(not arrays or dtype not in TYPES or min(shape, default=0) < 0 for dtype, shape in listed):
        raise ValueError(f"it sends arrays that are not expected ({listed})")
    return header, [_array(connection, dtype, shape) for dtype, shape in listed]


def _array(connection, dtype, shape):
    array = np.empty(shape, dtype)
    _fill(connection, array.reshape(-1).view(np.uint8))
    return array


def _bytes(connection, count):
    found = np.empty(count, np.uint8)
    _fill(connection, found)
    return found


def _fill(connection, target):
    done = 0
    while done < len(target):
        count = connection.recv_into(target[done:])
        if not count:
            raise EOFError("the connection has been closed")
        done += count
