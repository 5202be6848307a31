"""TFRecord files as bytes: records in frames with their check sums, which may claim another length."""

import struct


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = tuple(_table())


def masked_crc(content):
    """Return the CRC-32C of bytes, masked as TFRecords have it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(content, claims=None):
    """Return a record, which claims its own length or another one, with right check sums."""
    head = struct.pack("<Q", len(content) if claims is None else claims)
    return head + struct.pack("<I", masked_crc(head)) + content + struct.pack("<I", masked_crc(content))


def unframed(data):
    """Return the contents of the records of a whole file."""
    contents, place = [], 0
    while place < len(data):
        size = struct.unpack_from("<Q", data, place)[0]
        contents.append(data[place + 12 : place + 12 + size])
        place += size + 16
    return contents
