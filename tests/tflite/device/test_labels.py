"""Files of class names, as people's editors write them."""

import re

import pytest

from cspkeras.tflite.device.labels import read_labels


@pytest.mark.parametrize(
    "content, expected, note",
    [
        (b"cat\ndog\n", ["cat", "dog"], ""),
        (b"cat\r\ndog\r\n\r\n \n", ["cat", "dog"], ""),
        (b"cat\rdog", ["cat", "dog"], ""),
        (b"\xef\xbb\xbfcat\n dog \t\n", ["cat", "dog"], ""),
        ("Kühe\n球\n".encode(), ["Kühe", "球"], ""),
        ("Kühe\n球\n".encode("utf-16"), ["Kühe", "球"], ""),
        (b"\xfe\xff" + "Kühe\n".encode("utf-16-be"), ["Kühe"], ""),
        ("Kühe\nŠárka\n".encode("cp1252"), ["Kühe", "Šárka"], "names.txt: not UTF-8, read as cp1252"),
        (b"K\xfche\x81\n", ["Kühe\x81"], "names.txt: not UTF-8, read as latin-1"),
        ("a\u2028b\nc\x0bd\n".encode(), ["a\u2028b", "c\x0bd"], ""),  # these end no line of an editor
    ],
)
def test_class_names_are_read_as_people_see_them(tmp_path, monkeypatch, content, expected, note):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_bytes(content)
    assert read_labels("names.txt") == (expected, note)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "names.txt: holds no class names, expected one a line"),
        (b"\xef\xbb\xbf\r\n \n", "names.txt: holds no class names"),
        (b"cat\n\ndog\n", "names.txt: line 2 is blank; remove it, or write the name of class 2 there"),
        (b"\ncat\n", "names.txt: line 1 is blank"),
    ],
)
def test_a_file_that_names_no_classes_is_refused(tmp_path, content, message):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_labels(tmp_path / "names.txt")
