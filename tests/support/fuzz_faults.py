"""Kinds of files whose readers fail in each way that benchmarks/fuzz.py tells apart."""

import os
import time

from mutations import Kind


def make(folder):
    (folder / "x.bin").write_bytes(b"whole")
    return [folder / "x.bin"]


def failing(fail):
    """Return a kind of which every third input fails, and the others are refused."""

    def read(folder, file):
        if (content := file.read_bytes()) == b"fail":
            fail()
        if content != b"whole":
            raise ValueError(f"{file}: refused")

    return Kind(make, read, lambda content, file, rng: rng.choice((b"fail", b"other", b"whole")))


def unforeseen():
    raise KeyError("x")


def of_two_lines():
    raise ValueError("a\nb")


KINDS = {
    "crash": failing(os.abort),
    "hang": failing(lambda: time.sleep(60)),
    "traceback": failing(unforeseen),
    "limit": failing(lambda: bytearray(1 << 40)),
    "lines": failing(of_two_lines),
}
