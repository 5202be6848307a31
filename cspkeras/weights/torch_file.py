"""Read PyTorch's checkpoints, .pth, .pt and .pth.tar, as data: without PyTorch, and running nothing that is in them.

There are two layouts. A zip archive (since PyTorch 1.6) holds data.pkl, a pickle that names storages, and the bytes of
each as they are. The one before is five pickles: a magic number, a version, the machine's figures, the object and the
storages' keys; then the bytes of each storage after their count. Either file is mapped into memory: arrays are views
of it, so that an optimizer's state beside the weights takes none.
"""

import io
import math
import mmap
import os
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from .impostors import check_is_weights
from .torch_pickle import LONGEST, Inert, Known, Refused, unpickle

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
DIMENSIONS = 32  # of a tensor at most
BFLOAT16 = "V2"  # the upper half of a float32
ZIP = b"PK\x03\x04"
STORAGES = {
    "torch.BFloat16Storage": BFLOAT16,
    "torch.BoolStorage": "?",
    "torch.ByteStorage": "u1",
    "torch.CharStorage": "i1",
    "torch.ComplexDoubleStorage": "c16",
    "torch.ComplexFloatStorage": "c8",
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.IntStorage": "i4",
    "torch.LongStorage": "i8",
    "torch.ShortStorage": "i2",
    "torch.storage.UntypedStorage": "u1",
}


def is_torch(weights):
    """Return whether weights are a checkpoint of PyTorch's, by its name."""
    return str(weights).endswith((".pth", ".pt", ".pth.tar"))


def read_torch(path: os.PathLike[str] | str) -> dict:
    """Read a checkpoint of PyTorch's.

    Args:
        path: .pth, .pt or .pth.tar file of `torch.save`.

    Returns:
        What was saved, as a rule a dict: of plain containers, numbers, strings and, for tensors, numpy arrays of their
        type (float32 for bfloat16), read-only views of the file. Objects of other classes are inert stand-ins.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another file, such as a web page, a damaged one, TorchScript, and one that asks to run
            something.

    Example:
        >>> read_torch("yolox_nano.pth")["model"]["head.obj_preds.0.bias"].shape  # doctest: +SKIP
        (1,)
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: missing; expected a .pth file of PyTorch's")
    check_is_weights(path)
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read_zip(path, data) if data[: len(ZIP)] == ZIP else _read_legacy(data)
    except Refused as e:
        raise ValueError(f"{path}: {e}") from e
    except Exception as e:  # a damaged pickle or archive makes their readers raise anything
        if getattr(e, "filename", None):  # of the file itself, not of a place within it
            raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: not a whole file of PyTorch's ({reason})") from e


def read_state(path: os.PathLike[str] | str, key: str) -> dict[str, np.ndarray]:
    """Read a checkpoint's weights by name: those under `key`, or all of a file that is such a dict itself.

    The prefix of parallel training, "module.", is left out, and batch-norms' counts of steps, which Keras doesn't have.
    A ValueError says what there is instead of weights.
    """
    content = read_torch(path)
    state = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not any(isinstance(value, np.ndarray) for value in state.values()):
        found = ", ".join(map(repr, list(content)[:8])) if isinstance(content, dict) else _kind(content)
        raise ValueError(f"{path}: holds no weights by name under {key!r}; found: {found or 'nothing'}")
    return {
        name.removeprefix("module."): value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, np.ndarray) and not name.endswith("num_batches_tracked")
    }


def _kind(value):
    return value.name if isinstance(value, Inert) else type(value).__name__


@dataclass(frozen=True, eq=False)
class _Storage:
    """Numbers in a row, of which tensors are views; `values` is None before it is known where they lie."""

    values: np.ndarray | None
    limit: int = 0  # bytes of the file, more than which no tensor has


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype


def _rebuild_tensor(storage, offset, shape, strides, *_):
    """Return a view of a storage; `offset` and `strides` count numbers."""
    if not isinstance(storage, _Storage):
        raise Refused(f"a tensor has a {_kind(storage)} for its storage")
    if storage.values is None:
        return np.empty(0)
    if len(shape) > DIMENSIONS or not all(isinstance(n, int) and n >= 0 for n in (offset, *shape, *strides)):
        raise Refused("a tensor's offset, shape or strides are not whole numbers, or too many")
    values, size = storage.values, math.prod(shape)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if size and last >= len(values) or size * values.itemsize > storage.limit:
        raise Refused(f"a tensor of the shape {shape} exceeds its storage of {len(values):,} numbers")
    steps = [stride * values.itemsize for stride in strides]
    return np.ndarray(shape, values.dtype, values, offset * values.itemsize if size else 0, steps)


def _rebuild_from_type(function, kind, arguments, state):
    if not isinstance(function, Known):
        raise Refused(f"a tensor is made by a {_kind(function)}")
    return function.call(*arguments)


KNOWN = {
    "torch.Size": Known(tuple),
    "torch._tensor._rebuild_from_type_v2": Known(_rebuild_from_type),
    "torch._utils._rebuild_parameter": Known(lambda data, *_: data),
    "torch._utils._rebuild_parameter_with_state": Known(lambda data, *_: data),
    "torch._utils._rebuild_tensor": Known(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": Known(_rebuild_tensor),
    **{name: _StorageType(np.dtype(dtype)) for name, dtype in STORAGES.items()},
}


def _contents(kind, key, count):
    """Return the (type, count) of a storage's numbers, from its persistent id."""
    if not isinstance(kind, _StorageType):
        raise Refused(f"a storage is of the type {_kind(kind)}; expected one of plain numbers")
    if not (isinstance(key, str) and len(key) <= LONGEST and isinstance(count, int) and count >= 0):
        raise Refused("a storage has no name or no length")
    return kind.dtype, count


def _values(data, dtype, count, start, order="<"):
    """Return `count` numbers of the file from the byte `start` on, bfloat16 as float32."""
    if dtype == BFLOAT16:
        return (np.frombuffer(data, f"{order}u2", count, start).astype("u4") << 16).view("f4")
    return np.frombuffer(data, dtype.newbyteorder(order), count, start)


def _read_zip(path, data):
    records = _records(path, data)
    if "constants.pkl" in records:
        raise Refused("is a TorchScript program; expected a file of torch.save(model.state_dict())")
    start, size = records.get("byteorder", (0, 0))
    order = {b"big": ">", b"little": "<", b"": "<"}[data[start : start + size].strip()]
    storages = {}

    def persistent(_, kind, key, location, count):
        dtype, count = _contents(kind, key, count)
        if (key, dtype) not in storages:
            start, size = records.get(f"data/{key}", (0, 0))
            if count * dtype.itemsize > size:
                raise Refused(f"storage {key!r} has {size:,} bytes; expected {count:,} of {dtype}")
            storages[key, dtype] = _Storage(_values(data, dtype, count, start, order), len(data))
        return storages[key, dtype]

    start, size = records["data.pkl"]
    return unpickle(io.BytesIO(data[start : start + size]), KNOWN, persistent)


def _records(path, data):
    """Return {member without the archive's folder: its first byte and its length}, all of them whole."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    folder = members[0].filename.partition("/")[0] + "/" if members else ""
    if f"{folder}data.pkl" not in (member.filename for member in members):
        raise Refused("is a zip archive without PyTorch's data.pkl; if a .pth file is in it, unpack it")
    if sum(member.file_size for member in members) > len(data):
        raise Refused("the members of its archive are longer than the file: compressed, or one within another")
    records, view = {}, memoryview(data)
    for member in members:
        name = member.filename
        if not name.startswith(folder) or ".." in name.split("/"):
            raise Refused(f"the member {name!r} of its archive is outside of {folder!r}")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise Refused(f"the member {name!r} of its archive is compressed; PyTorch stores them as they are")
        header = data[member.header_offset : member.header_offset + 30]
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header_offset + 30 + lengths
        if header[:4] != ZIP or zlib.crc32(view[start : start + member.file_size]) != member.CRC:
            raise Refused(f"the member {name!r} of its archive is damaged")
        records[name.removeprefix(folder)] = start, member.file_size
    return records


def _read_legacy(data):
    if data[:1] != b"\x80" or unpickle(data) != MAGIC or unpickle(data) != VERSION:
        raise Refused("not a file of PyTorch's: neither a zip archive nor its magic number")
    unpickle(data)  # about the machine; the numbers are little-endian whatever it says
    first, types, places = data.tell(), {}, {}

    def note(kind, *arguments):
        if kind == "module":  # a class with its source
            return arguments[0]
        storage_type, key, _, count, *_ = arguments
        contents = _contents(storage_type, key, count)
        if types.setdefault(key, contents) != contents:
            raise Refused(f"storage {key!r} has two types or lengths")
        return _Storage(None)

    def persistent(kind, *arguments):
        if kind == "module":
            return arguments[0]
        _, key, _, _, *view = arguments
        storage = places[key]
        if view and view[0]:
            _, offset, count = view[0]
            return _Storage(_rebuild_tensor(storage, offset, (count,), (1,)), len(data))
        return storage

    unpickle(data, KNOWN, note)
    for key in unpickle(data):
        dtype, count = types[key]
        found, start = int.from_bytes(data.read(8), "little"), data.tell()
        if found != count:
            raise Refused(f"storage {key!r} has {found:,} numbers; expected {count:,}")
        if start + count * dtype.itemsize > len(data):
            raise Refused(f"ends within storage {key!r}")
        places[key] = _Storage(_values(data, dtype, count, start), len(data))
        data.seek(start + count * dtype.itemsize)
    if missing := types.keys() - places:
        raise Refused(f"storage {min(missing)!r} is missing")
    data.seek(first)
    return unpickle(data, KNOWN, persistent)
