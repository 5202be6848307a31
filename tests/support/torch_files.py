"""PyTorch's files by hand, from the instructions of their pickle on, so that they may also be wrong."""

import pickle
import struct
import zipfile

NUMBERS = struct.pack("<6f", *range(6))


def plain(value):
    """Instructions that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def name(full):
    """Instructions that push a global name."""
    return "c{}\n{}\n".format(*full.rsplit(".", 1)).encode()


def storage(kind="torch.FloatStorage", key="0", count=6, view=()):
    """Instructions that push a storage; with `view` as older files have it."""
    parts = plain("storage"), name(kind), *map(plain, (key, "cpu", count, *view))
    return b"(" + b"".join(parts) + b"tQ"


def call(function, *arguments):
    """Instructions that call a function."""
    return name(function) + b"(" + b"".join(arguments) + b"tR"


def tensor(shape=(2, 3), strides=(3, 1), offset=0, **options):
    """Instructions that push a tensor."""
    arguments = [storage(**options), *map(plain, (offset, shape, strides, False, {}))]
    return call("torch._utils._rebuild_tensor_v2", *arguments)


def mapping(**values):
    """Instructions that push a dict of values made by instructions."""
    return b"}(" + b"".join(plain(key) + value for key, value in values.items()) + b"u"


def write_zip(path, program, records=None, more=(), compression=zipfile.ZIP_STORED):
    """Write a file of the newer layout; `records` are the storages' bytes, `more` other (member, bytes)."""
    members = {"x/data.pkl": b"\x80\x02" + program + b"."}
    members |= {f"x/data/{key}": value for key, value in (records or {"0": NUMBERS}).items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in [*members.items(), *more]:
            archive.writestr(member, content)
    return path


def write_legacy(path, program, records=None, keys=None):
    """Write a file of the older layout; `records` are (count, bytes) of the storages."""
    records = records or {"0": (6, NUMBERS)}
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    path.write_bytes(
        b"".join(head)
        + (b"\x80\x02" + program + b"." + pickle.dumps(list(records) if keys is None else keys, 2))
        + b"".join(struct.pack("<q", count) + content for count, content in records.values())
    )
    return path
