"""Changes of binary files that keep their grammar, so that more than the first check of a reader is met.

Each is a function of a file's bytes and a `random.Random` to other bytes.
"""

import io
import json
import pickletools
import random
import re
import struct
import zipfile

import numpy as np
import torch_files
from mutations import mutated
from torch_files import plain, storage, tensor

NUMBERS = -1, 0, 1, 2, 3, 5, 100, 4096, 2**16, 10**6, 2**31 - 1, 2**32 - 1, 10**9, 10**12, 2**63 - 1, 10**18, -(10**18)
METHODS = 1, 8, 9, 12, 14, 95, 99
TYPES = "<f4", "<f2", "<i8", "|S4000", "<U9999", "|O", ">f8", "<c16", "|b1", "<M8[s]", "[('a','<f4')]", "|V0"


def random_bytes(content, rng):
    """Change, cut out, repeat or cut off bytes."""
    return mutated(content, "", rng.random())


def words(content, rng):
    """Change whole numbers of two, four or eight bytes, such as counts and offsets."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        kind = rng.choice("HIQ")
        size = struct.calcsize(kind)
        if len(content) < size:
            break
        place = rng.randrange(len(content) - size + 1)
        place -= place % size if rng.random() < 0.7 else 0
        number = rng.choice((rng.choice(NUMBERS), rng.getrandbits(8 * size), rng.randrange(len(content))))
        struct.pack_into(kind, content, place, number % (1 << 8 * size))
    return bytes(content)


def json_text(content, rng):
    """Change values of JSON: other ones, larger numbers, longer lists, deeper nesting."""
    change = rng.random()
    if change < 0.6:
        return mutated(content, ".json", rng.random())
    numbers = list(re.finditer(rb"(?<=[\[ :,])-?\d+(?=[,\]} ])", content))
    if change < 0.9 and numbers:
        start, end = rng.choice(numbers).span()
        return content[:start] + str(rng.choice(NUMBERS)).encode() + content[end:]
    strings = list(re.finditer(rb'"[^"\\]*"', content))
    if not strings:
        return content
    start, end = rng.choice(strings).span()
    other = rng.choice(strings)[0]
    deep = rng.choice((20, 500, 20_000))
    value = rng.choice(
        (other, b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep, b'"%s"' % (b"n" * 9999))
    )
    return content[:start] + value + content[end:]


def npy(content, rng):
    """Change the header of a .npy file, or its bytes."""
    if rng.random() < 0.4 or content[:6] != b"\x93NUMPY":
        return random_bytes(content, rng)
    length = struct.unpack("<H", content[8:10])[0]
    header, numbers = content[10 : 10 + length].decode("latin1"), content[10 + length :]
    shape = tuple(rng.choice((*NUMBERS, 1, 1, 2)) for _ in range(rng.choice((0, 1, 2, 4, 70))))
    header = rng.choice(
        (
            re.sub(r"\([\d, ]*\)", repr(shape), header),
            re.sub(r"'descr': '[^']*'", f"'descr': '{rng.choice(TYPES)}'", header),
            header.replace("False", rng.choice(("True", "0", "None"))),
            header.replace("'shape'", "'form'"),
            "(" * rng.choice((5, 900, 9000)) + header,
        )
    ).encode()[:65000]
    return content[:8] + struct.pack("<H", len(header)) + header + numbers


def npz_meta(content, rng):
    """Change the JSON in a .npy file of one text."""
    text = str(np.load(io.BytesIO(content)))
    text = json_text(text.encode(), rng).decode("utf-8", "replace").encode("utf-8", "replace").decode()
    file = io.BytesIO()
    np.save(file, np.array(text))
    return file.getvalue()


def h5(content, rng):
    """Change a dataset or a link of an HDF5 file, or its bytes."""
    if rng.random() < 0.4:
        return rng.choice((random_bytes, words))(content, rng)
    import h5py

    file = io.BytesIO(content)
    with h5py.File(file, "r+") as root:
        found = []
        root.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        name = rng.choice(found)
        values = root[name][()]
        del root[name]
        change = rng.randrange(7)
        if change == 0:
            shape = tuple(rng.choice((1, 3, 1000, 10**5, 10**7)) for _ in range(rng.choice((1, 2, 3))))
            root.create_dataset(name, shape, "f4", chunks=tuple(min(side, 16) for side in shape), fillvalue=0)
        elif change == 1:
            root[name] = h5py.SoftLink("/" + rng.choice(found))
        elif change == 2:
            root[name] = h5py.ExternalLink("/etc/passwd", "/")
        elif change == 3:
            root[name] = np.asarray(values, "f4").reshape(-1)[: rng.randrange(9)]
        elif change == 4:
            root[name] = np.asarray(["a" * rng.choice((1, 5000))], "S")
        elif change == 5:
            root[f"{name}/{name}"] = values
    return file.getvalue()


PIECES = [tensor(), storage(), plain("a"), plain(2**70), plain(-1)]
PIECES += [
    torch_files.name(full)
    for full in ("os.system", "x.Log", "torch.Size", "builtins.getattr", "collections.OrderedDict")
]
PIECES += [bytes([code]) for code in b"()]}tRbQ.0ae us\x81\x85\x86\x93\x94"]


def instructions(content, rng):
    """Leave out, repeat, exchange or insert whole instructions of a pickle."""
    places = [place for _, _, place in pickletools.genops(content)]
    parts = [content[start:end] for start, end in zip(places, [*places[1:], len(content)], strict=True)]
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


def several_pickles(content, rng):
    """Change the instructions of one of the pickles that a file begins with."""
    file, ends = io.BytesIO(content), [0]
    for _ in range(5):
        for _ in pickletools.genops(file):
            pass
        ends.append(file.tell())
    i = rng.randrange(5)
    return content[: ends[i]] + instructions(content[ends[i] : ends[i + 1]], rng) + content[ends[i + 1] :]


MEMBERS = {".json": json_text, ".npy": npy, ".h5": h5, ".pkl": instructions}


def members(content, rng, changes=MEMBERS):
    """Change one member of a zip archive by the function of its suffix, or the archive around the members.

    What is before the archive stays, as in a .tflite file.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        parts = {info.filename: archive.read(info) for info in infos}
        front = content[: min(info.header_offset for info in infos)]
    name = rng.choice(sorted(parts))
    change = rng.random()
    if change < 0.65:
        suffix = next((suffix for suffix in changes if name.endswith(suffix)), None)
        parts[name] = changes.get(suffix, random_bytes)(parts[name], rng)
    elif change < 0.7:
        del parts[name]
    elif change < 0.75:
        parts[rng.choice(("../x", "/etc/x", name + "\0", "a" * 9000, "\u202e" + name))] = parts.pop(name)
    elif change < 0.8:
        other = rng.choice(sorted(parts))
        parts[name], parts[other] = parts[other], parts[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, value in parts.items():
            archive.writestr(zipfile.ZipInfo(member), value, archive.compression)
    packed = file.getvalue()
    if change >= 0.8:
        packed = headers(packed, rng) if change < 0.95 else random_bytes(packed, rng)
    if not front:
        return packed
    # As `zipfile` appends to a file: its offsets count from the file's beginning, or from the archive's, both are read.
    return front + packed


def headers(packed, rng):
    """Change a field in the headers of a zip archive's members: flags, method, checksum, sizes."""
    packed = bytearray(packed)
    signature, base = rng.choice(((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)))
    places = [found.start() for found in re.finditer(re.escape(signature), packed)]
    place = rng.choice(places)
    both = [place + base]
    field = rng.randrange(4)
    for start in both:
        if field == 0:
            struct.pack_into("<H", packed, start, rng.choice((1, 8, 0x41, 0x800, 0xFFFF)))
        elif field == 1:
            struct.pack_into("<H", packed, start + 2, rng.choice(METHODS))
        elif field == 2:
            struct.pack_into("<I", packed, start + 8, rng.getrandbits(32))
        else:
            struct.pack_into("<I", packed, start + rng.choice((12, 16)), rng.choice((0, 1, 2**31, 2**32 - 2)))
    return bytes(packed)


def safetensors(content, rng):
    """Change the JSON in front of a safetensors file, its length, or the numbers."""
    (length,) = struct.unpack("<Q", content[:8])
    head, numbers = content[8 : 8 + length], content[8 + length :]
    change = rng.random()
    if change < 0.7:
        head = json_text(head, rng)
    elif change < 0.85:
        about = json.loads(head)
        name = rng.choice(sorted(about))
        if "shape" in about[name]:
            about[name]["shape"] = [rng.choice((0, 1, 10**6, 10**12)) for _ in range(rng.choice((1, 2, 4)))]
        head = json.dumps(about).encode()
    else:
        return rng.choice((words, random_bytes))(content, rng)
    return struct.pack("<Q", len(head)) + head + numbers


def protobuf(content, rng):
    """Change fields of ONNX messages: shapes, types, lengths, names, inputs."""
    if rng.random() < 0.3:
        return rng.choice((words, random_bytes))(content, rng)
    import onnx

    model = onnx.ModelProto.FromString(content)
    tensors, nodes = model.graph.initializer, model.graph.node
    for _ in range(rng.choice((1, 1, 3))):
        tensor, node = rng.choice(tensors), rng.choice(nodes)
        change = rng.randrange(9)
        if change == 0:
            tensor.dims[:] = [rng.choice(NUMBERS[:16]) for _ in range(rng.choice((0, 1, 2, 4, 70)))]
        elif change == 1:
            tensor.data_type = rng.randrange(30)
        elif change == 2:
            tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
        elif change == 3:
            tensor.name = rng.choice(("", "\x1b[31m", "a" * 9999, rng.choice(tensors).name))
        elif change == 4:
            node.input[:] = [rng.choice(tensors).name for _ in range(rng.randrange(5))]
        elif change == 5:
            node.op_type = rng.choice(("Conv", "conv", "", "Gemm"))
        elif change == 6:
            tensor.data_location = 1
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", rng.choice(("/etc/passwd", "../x", "\0", "."))
        elif change == 7:
            tensor.ClearField("raw_data")
            tensor.float_data[:] = [1.0] * rng.choice((0, 1, 99))
        else:
            nodes.add().CopyFrom(node)
    return model.SerializeToString()


def text_numbers(content, rng):
    """Change a number in a text, repeat or exchange whole lines, or change its bytes."""
    spots = list(re.finditer(rb"-?\d+", content))
    if spots and rng.random() < 0.5:
        start, end = rng.choice(spots).span()
        return content[:start] + str(rng.choice(NUMBERS)).encode() + content[end:]
    lines = content.split(b"\n")
    if rng.random() < 0.3:
        start = rng.randrange(len(lines))
        part = lines[start : start + rng.choice((1, 3, 20))]
        lines[start:start] = part * rng.choice((1, 2, 30, 3000))
        return b"\n".join(lines)
    if rng.random() < 0.2:
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
        return b"\n".join(lines)
    return random_bytes(content, rng)


def one_of(*changes):
    """Return a function as `mutations.Kind.mutate` that applies one of several changes, at times two."""

    def change(content, file, rng):
        for _ in range(rng.choice((1, 1, 1, 2))):
            chosen = rng.choice(changes)
            try:
                content = chosen(content, rng)
            except Exception:  # changed before, and no longer of this grammar
                content = random_bytes(content, random.Random(rng.random()))
        return content

    return change
