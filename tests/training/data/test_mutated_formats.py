"""Every format with files changed at random: a data set or one line, and no file that is not accounted for."""

import time

import pytest
from exports import EXPORTS
from mutations import files_told, mutated

from cspkeras.training.data.files.folder import Folder
from cspkeras.training.data.reading import DataSet

COUNT = 24  # changes of each format
SLOWEST = 5  # seconds


def read_mutated(folder, file, content, seed):
    """Read a data set with one file changed; return what is wrong with the way it is read, or None."""
    file.write_bytes(mutated(content, file.suffix.lower(), seed))
    began, parts = time.perf_counter(), {}
    try:
        data_set = DataSet(folder)
        for split in data_set.splits or [None]:
            try:
                parts[split] = data_set.read(split)
            except (OSError, ValueError) as e:
                if str(folder) not in str(e) or "\n" in str(e):
                    return f"not one line that names the file: {e!r}"
        lines = [line for kind in data_set.leftovers(list(parts.values())) for line in kind] if parts else []
    except (OSError, ValueError) as e:
        return None if str(folder) in str(e) and "\n" not in str(e) else f"not one line that names the file: {e!r}"
    finally:
        file.write_bytes(content)
    if time.perf_counter() - began > SLOWEST:
        return "slow"
    problems = [line for data in parts.values() for line in data.problems]
    for data in parts.values():
        images = {getattr(example.image, "file", example.image) for example in data.examples}
        for image in (file for file in data.files - images if file.suffix == ".jpg"):
            if not any(str(image) in line or image.name in line for line in problems):
                return f"{image} is neither used nor told"
    if parts:
        told = files_told(lines)
        left = set(Folder(folder).all_files) - frozenset().union(*(data.files for data in parts.values()))
        if told != len(left):
            return f"{told} files are told, {len(left)} are not used: {lines}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_mutated(name, tmp_path):
    EXPORTS[name](tmp_path)
    files = [file for file in Folder(tmp_path).files if file.suffix not in (".jpg", ".png")]
    for seed in range(COUNT):
        file = files[seed % len(files)]
        assert read_mutated(tmp_path, file, file.read_bytes(), seed) is None, (file, seed)
