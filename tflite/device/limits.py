"""Members of the zip archive behind a .tflite file's network, which may claim to be of any size."""

import zipfile
import zlib

LARGEST = 1 << 24  # bytes of settings or of class names; a line of 16 for each of a million classes
METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
DAMAGED = EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error


def read_members(file, names):
    """Return the bytes of some members of the archive at the end of an open file.

    Raises:
        KeyError: there is no archive, or no member of a name.
        ValueError: a member is encrypted, packed in a way that is not known here, damaged, or longer than `LARGEST`.
    """
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGED as error:
        raise KeyError(str(error)) from None
    with archive:
        return [_read(archive, archive.getinfo(name)) for name in names]


def _read(archive, member):
    if member.file_size > LARGEST:
        raise ValueError(f"its {member.filename} has {member.file_size:,} bytes; at most {LARGEST:,} are read")
    if member.compress_type not in METHODS:
        raise ValueError(f"its {member.filename} can't be unpacked: it is neither stored as it is nor deflated")
    try:
        return archive.read(member)
    except DAMAGED as error:
        raise ValueError(f"its {member.filename} can't be unpacked: {error}") from None
