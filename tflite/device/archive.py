"""Members of the zip archive behind a .tflite file's network, which may claim to be of any size."""

import zipfile
import zlib

LARGEST = 1 << 24  # bytes of settings or of class names; a line of 16 for each of a million classes


def read_member(archive, name):
    """Return the bytes of a member of an open `ZipFile`.

    Raises:
        KeyError: there is none of that name.
        ValueError: it is encrypted, packed in a way that is not known here, damaged, or longer than `LARGEST`.
    """
    member = archive.getinfo(name)
    if member.file_size > LARGEST:
        raise ValueError(f"its {name} has {member.file_size:,} bytes; at most {LARGEST:,} are read")
    try:
        return archive.read(member)
    except (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"its {name} can't be unpacked: {error}") from None
