"""The kinds of files of data sets, for benchmarks/fuzz.py: annotations of each format, TFRecords, images, archives."""

import os
import re
import shutil
import struct
import zlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
from binary_mutations import NUMBERS, json_text, members, one_of, random_bytes, text_numbers, words
from exports import EXPORTS
from mutations import Kind, mutated
from tfrecord_frames import frame, unframed

IMAGES = (".jpg", ".png")
FORMATS = dict.fromkeys(name.partition("-")[0] for name in EXPORTS)
CONTROLS = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LINE = 4100  # characters


def exports(key):
    """Return a function that writes the data sets of a format, a folder each, and returns their files of text."""

    def make(folder):
        for name in EXPORTS:
            if name.partition("-")[0] == key:
                (folder / name).mkdir()
                EXPORTS[name](folder / name)
        return [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix not in IMAGES]

    return make


def read_set(folder, file):
    """Read the data set that a file lies in, as `data check` does but for the pixels of the images."""
    from cspkeras.training.data.reading import DataSet

    path = folder / file.relative_to(folder).parts[0]
    data_set = DataSet(path)
    parts = {split: data_set.read(split) for split in data_set.splits or [None]}
    lines = [line for data in parts.values() for line in (*data.problems, *data.class_names)]
    lines += [line for kind in data_set.leftovers(list(parts.values())) for line in kind]
    lines.append(data_set.seen(parts))
    if raw := [line for line in lines if CONTROLS.search(line) or len(line) > LINE]:
        raise AssertionError(f"not a line for people: {raw[0][:200]!r}")


def archives(folder):
    """A VOC and a COCO data set in a .zip file each."""
    files = []
    for name in ("voc-labelimg", "coco-roboflow"):
        inner = folder / "aside" / name
        inner.mkdir(parents=True)
        EXPORTS[name](inner)
        files.append(Path(shutil.make_archive(str(folder / name), "zip", inner)))
    shutil.rmtree(folder / "aside")
    return files


def read_archive(folder, file):
    home = folder / "home"
    try:
        with patch.dict(os.environ, KERAS_HOME=str(home)):
            read_set(folder, file)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def images(folder):
    """A picture in each of the formats of images."""
    from PIL import Image

    from cspkeras.tflite.device.frames import FORMATS

    picture, files = Image.effect_mandelbrot((64, 48), (-2, -1, 1, 1), 50).convert("RGB"), []
    for name in FORMATS:
        files.append(folder / f"x.{name.lower()}")
        picture.save(files[-1], name)
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, options in {
        "progressive.jpg": {"progressive": True},
        "turned.jpg": {"exif": turned},
        "grey.png": {"mode": "L"},
        "colours.png": {"mode": "P"},
        "lzw.tif": {"compression": "tiff_lzw", "exif": turned},
        "clear.webp": {"mode": "RGBA", "lossless": True},
    }.items():
        files.append(folder / name)
        picture.convert(options.pop("mode", "RGB")).save(files[-1], **options)
    files.append(folder / "deep.png")
    Image.fromarray(np.asarray(picture.convert("L"), "uint16") * 256).save(files[-1])
    return files


def read_image(folder, file):
    """What the readers, the training, the packing and a device ask of an image."""
    from cspkeras.tflite.device.frames import load_image
    from cspkeras.training.data.images import image_file, pixel_count, read_pixels, upright_size

    pixel_count(file)
    size = upright_size(file)
    if (found := read_pixels(file, check=True).size) != size:
        raise OSError(f"{file}: of {found}, its header says {size}")
    read_pixels(file, 10, lambda size: (0, 0, *size), check=True)
    image_file(file)
    try:
        load_image(file)
    except Exception as e:  # what `frames` makes a line of
        raise OSError(f"{file}: {e}") from e


def _numbers_of_image(content, rng):
    """Change a field of an image's segments or chunks: kinds, lengths, sizes; a PNG's check sums stay right."""
    content = bytearray(content)
    if content.startswith(b"\x89PNG"):
        place = 8
        chunks = []
        while place + 12 <= len(content):
            (length,) = struct.unpack_from(">I", content, place)
            chunks.append((bytes(content[place + 4 : place + 8]), bytes(content[place + 8 : place + 8 + length])))
            place += length + 12
        i = rng.randrange(len(chunks))
        kind, data = chunks[i]
        data = rng.choice((words, random_bytes))(data, rng)
        kind = rng.choice((kind, kind, b"iCCP", b"zTXt", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"fdAT"))
        chunks[i : i + 1] = [(kind, data)] * rng.choice((1, 1, 2, 0))
        return bytes(content[:8]) + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    head = min(len(content), 700)
    for _ in range(rng.choice((1, 1, 2, 5))):
        order, kind = rng.choice("<>"), rng.choice("BHHII")
        size = struct.calcsize(kind)
        number = rng.choice((0, 1, 255, 13000, 65500, 65535, 2**31 - 1, 2**32 - 1, rng.getrandbits(8 * size)))
        struct.pack_into(order + kind, content, rng.randrange(head - size), number % (1 << 8 * size))
    return bytes(content)


def _records(content, rng):
    """Change the fields of a record, or what its frame claims; its check sums are right."""
    from tensorflow.train import Example

    contents = unframed(content)
    i, claims = rng.randrange(len(contents)), None
    change = rng.random()
    if change < 0.15:
        claims = rng.choice((*(number % 2**64 for number in NUMBERS), len(content)))
    elif change < 0.25:
        contents[i] = rng.choice((random_bytes, words))(contents[i], rng)
    else:
        example = Example.FromString(contents[i])
        fields = example.features.feature
        for _ in range(rng.choice((1, 1, 3))):
            name = rng.choice(sorted(fields))
            kind = rng.choice(("bytes_list", "int64_list", "float_list"))
            kind = rng.choice((kind, fields[name].WhichOneof("kind") or kind))
            values = getattr(fields[name], kind).value
            new = {
                "bytes_list": (b"", b"\xff\x00", b"\x1b[31m", b"a" * 9999, "\u202e".encode(), *values[:1]),
                "int64_list": [max(-(2**63), min(number, 2**63 - 1)) for number in NUMBERS],
                "float_list": (0.0, 0.5, -1.0, 1e38, float("nan"), float("inf"), *values[:1]),
            }[kind]
            values[:] = [rng.choice(new) for _ in range(rng.choice((0, 1, 1, 2, len(values), 99)))]
            if rng.random() < 0.15:
                del fields[name]
        contents[i] = example.SerializeToString()
    return b"".join(frame(one, claims if k == i else None) for k, one in enumerate(contents))


ENTITIES = b"<!DOCTYPE a [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>"


def _xml(content, rng):
    """Change elements of XML, or declare entities, nest deeply, or say another encoding."""
    if rng.random() < 0.6:
        return mutated(content, ".xml", rng.random())
    deep = rng.choice((20, 500, 20_000))
    place = rng.choice([found.start() for found in re.finditer(rb"<", content)])
    piece = rng.choice(
        (b"&b;", b"<a>" * deep, b"<a>" * deep + b"</a>" * deep, b"<!-- " * deep, b"<![CDATA[", b"a" * deep)
    )
    front = rng.choice(
        (b"", b"", ENTITIES, b"<?xml version='1.0' encoding='%s'?>" % rng.choice((b"utf-7", b"cp037", b"x", b"utf-16")))
    )
    return front + content[:place] + piece + content[place:]


def _yaml(content, rng):
    """Put a value of another kind, an alias, a tag or deep nesting into YAML."""
    deep = rng.choice((20, 500, 5000))
    names = (b"!!timestamp x", b"!!bool x", b"!!int ''", b"!!binary x", b"!!set {a}", b"&a [*a]", b"{<<: {a: 1}}")
    value = rng.choice((*names, b"[" * deep, b"{a: " * deep, b"'\\x1b[31m'", b'"\\x1b\\u202e"', b"? [a]\n: b", b"|"))
    lines = content.split(b"\n")
    i = rng.randrange(len(lines))
    lines[i] = lines[i].partition(b":")[0] + b": " + value
    return b"\n".join(lines)


CHANGES = {
    ".xml": one_of(_xml),
    ".json": one_of(json_text),
    ".yaml": one_of(_yaml, text_numbers),
    ".tfrecord": one_of(_records),
}
of_image = one_of(_numbers_of_image, _numbers_of_image, words, random_bytes)
of_archive = one_of(lambda content, rng: members(content, rng, {".xml": _xml, ".json": json_text}))


def changed(content, file, rng):
    """Change a file of a data set by its suffix; lists, tables and texts by their numbers, lines and fields."""
    suffix = Path(file).suffix
    if suffix in CHANGES:
        return CHANGES[suffix](content, file, rng)
    return one_of(text_numbers)(content, file, rng) if rng.random() < 0.5 else mutated(content, suffix, rng.random())


KINDS = {key: Kind(exports(key), read_set, changed) for key in FORMATS}
KINDS["image"] = Kind(images, read_image, of_image)
KINDS["zip"] = Kind(archives, read_archive, of_archive)
