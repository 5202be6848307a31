"""Damaged checkpoints of PyTorch's are read, or told in one line; the seeds are 7 and 8."""

import pickletools
import random

import pytest
from torch_files import mapping, name, plain, storage, tensor, write_legacy, write_zip

from cspkeras.weights.torch_file import read_torch

BOTH = pytest.mark.parametrize("write", [write_zip, write_legacy], ids=["zip", "legacy"])
PIECES = [
    tensor(),
    storage(),
    plain("a"),
    plain(2**70),
    plain(-1),
    name("os.system"),
    name("x.Log"),
    name("torch.Size"),
]
PIECES += [bytes([code]) for code in b"()]}tRbQ.0ae us\x81\x85\x86\x93\x94"]


def mutated(program, rng):
    """Leave out, repeat, exchange or insert whole instructions."""
    places = [place for _, _, place in pickletools.genops(program + b".")]
    parts = [program[start:end] for start, end in zip(places, places[1:], strict=False)]
    for _ in range(rng.randint(1, 4)):
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(4)
        if kind == 0:
            del parts[i]
        elif kind == 1:
            parts[i], parts[j] = parts[j], parts[i]
        else:
            parts.insert(i, rng.choice(PIECES) if kind == 2 else parts[j])
    return b"".join(parts)


@BOTH
def test_damaged_programs_are_read_or_told_in_one_line(tmp_path, write):
    rng, path, read = random.Random(7), tmp_path / "x.pth", 0
    program = mapping(meta=plain({"names": ["a", "b"], "log": (1.5, {})}), log=name("x.Log") + b")R", a=tensor())
    for _ in range(300):
        write(path, mutated(program, rng))
        try:
            read_torch(path)
            read += 1
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
    assert 10 < read < 290


@BOTH
def test_damaged_bytes_are_read_or_told_in_one_line(tmp_path, write):
    rng, path = random.Random(8), tmp_path / "x.pth"
    content = write(path, mapping(meta=plain({"names": ["a", "b"]}), a=tensor())).read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_torch(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
