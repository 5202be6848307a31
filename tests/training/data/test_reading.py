"""The list of formats, and what is made of it."""

import pkgutil
import re

import pytest

from cspkeras.training import read, splits
from cspkeras.training.data import readers
from cspkeras.training.data.readers import FORMATS
from cspkeras.training.data.reading import known_formats


def test_every_format_is_listed():
    modules = {module.name for module in pkgutil.iter_modules(readers.__path__)}
    assert {known.read.__module__.rpartition(".")[2] for known in FORMATS} == modules
    assert len(FORMATS) == len(modules)


def test_every_format_is_documented():
    text = " ".join(read.__doc__.split())
    for known in FORMATS:
        assert f"a {known.name}" in text or f"an {known.name}" in text
        assert known.name in known_formats() and re.search(rf"\b{known.key}\b", text)


def test_the_error_says_what_every_format_looks_like(tmp_path):
    with pytest.raises(ValueError, match=f"^{tmp_path}: no data set; expected ImageSets/Main") as caught:
        splits(tmp_path)
    assert all(known.expected in str(caught.value) for known in FORMATS)


@pytest.mark.parametrize("name", ("gone", "gone.yaml", "gone.tfrecord"))
def test_a_missing_data_set(tmp_path, name):
    with pytest.raises(
        FileNotFoundError, match=f"^{tmp_path}/{name}: missing; expected a data set: a folder or a file$"
    ):
        read(tmp_path / name)


def test_the_split_decides_between_formats_in_one_folder(make_voc):
    voc = make_voc()
    (voc / "annotations").mkdir()
    (voc / "annotations/instances_val.json").write_text("{}")
    assert splits(voc) == ["train", "val"] and len(read(voc, "train").examples) == 6
    with pytest.raises(ValueError, match="instances_val.json: no COCO file"):
        read(voc, "val")
