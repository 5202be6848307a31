"""Tables of a flatbuffer, the format of .tflite files and of their metadata, read without a library."""

import struct

import numpy as np

REPEATED = 4


class Table:
    """A table in a flatbuffer's bytes. Its fields are read by slot, their place in the schema; a missing one is empty.

    Damaged bytes end in a `struct.error` or a ValueError. The lists that are read may be `REPEATED` times as long as
    the bytes in all, so that many tables which share a list can't make it of any length.

    Example:
        >>> Table.root(open("model.tflite", "rb").read()).tables(2)[0].numbers(1)  # doctest: +SKIP
        [0]
    """

    def __init__(self, data, place, left=None):
        """Take the bytes, or what slices as they do, where in them the table begins, and the bytes left of lists."""
        self._data, self._place, self._left = data, place, [REPEATED * len(data)] if left is None else left

    @classmethod
    def root(cls, data):
        """Return the table that a flatbuffer consists of."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def number(self, slot, kind="<I"):
        """Return a number, of the `kind` that `struct` names; 0 where it is missing."""
        place = self._field(slot)
        return struct.unpack_from(kind, self._data, place)[0] if place else 0

    def table(self, slot):
        """Return a table, or None."""
        place = self._field(slot)
        return Table(self._data, self._target(place), self._left) if place else None

    def tables(self, slot):
        """Return a list of tables."""
        start, count = self._vector(slot, 4)
        return [Table(self._data, self._target(place), self._left) for place in range(start, start + 4 * count, 4)]

    def numbers(self, slot, kind="<i4"):
        """Return a list of numbers, of the `kind` that NumPy names."""
        return np.frombuffer(self.content(slot, np.dtype(kind).itemsize), kind).tolist()

    def text(self, slot):
        """Return a text."""
        return self.content(slot).decode()

    def content(self, slot, size=1):
        """Return a list's bytes, `size` for each of its elements."""
        start, count = self._vector(slot, size)
        return bytes(self._data[start : start + size * count])

    def _field(self, slot):
        """Where a field lies; 0: nowhere."""
        fields = self._place - struct.unpack_from("<i", self._data, self._place)[0]
        if 4 + 2 * slot >= struct.unpack_from("<H", self._data, fields)[0]:
            return 0
        offset = struct.unpack_from("<H", self._data, fields + 4 + 2 * slot)[0]
        return offset and self._place + offset

    def _target(self, place):
        return place + struct.unpack_from("<I", self._data, place)[0]

    def _vector(self, slot, size):
        """Where a list's elements of some bytes begin, and how many they are."""
        place = self._field(slot)
        if not place:
            return 0, 0
        start = self._target(place)
        count = struct.unpack_from("<I", self._data, start)[0]
        self._left[0] -= size * count
        if start + 4 + size * count > len(self._data) or self._left[0] < 0:
            raise ValueError("a list reaches beyond the end")
        return start + 4, count
