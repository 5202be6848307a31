"""Names of classes: what stays, what is changed and what is refused."""

import re

import pytest

from cspkeras.training.data.class_names import checked, clean, listed_names
from cspkeras.training.data.files.plain_yaml import read_yaml


@pytest.mark.parametrize(
    "name, expected",
    (
        ("  traffic \t light\n", "traffic light"),
        (7, "7"),
        ("\ufeffcat", "cat"),
        ("日本語 🚗", "日本語 🚗"),
        ("\ud83d\ude97", "🚗"),  # JSON's escapes in a YAML file
        ("a\udcff", "a\\udcff"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj\u202e.exe", "gpj\\u202e.exe"),
    ),
)
def test_cleaned(name, expected):
    assert clean(name) == expected
    clean(name).encode()


@pytest.mark.parametrize(
    "names, message",
    (
        ([], "no names of classes, expected at least one"),
        (["cat", None], "the name of class 1 is null, expected a text"),
        ([["cat", "Katze"]], "the name of class 0 is a list, expected a text"),
        ([{"cat": 1}], "the name of class 0 is a dict, expected a text"),
        (["cat", " "], "the name of class 1 is empty, expected a text"),
        ([True], "the name of class 0 is a bool, expected a text"),
    ),
)
def test_refused(names, message):
    with pytest.raises(ValueError, match=f"^data.yaml: {message}$"):
        checked(names, "data.yaml", [])


def test_a_name_that_stands_twice_is_one_class():
    problems = []
    assert checked(["cat", "dog", "cat"], "data.yaml", problems) == ["cat", "dog", "cat"]
    assert problems == ["data.yaml: classes 0 and 2 are both called 'cat', read as one"]


def test_a_list_of_names(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_bytes("\ufeffcat\r\nbig dog\r\n\r\n".encode())
    assert listed_names(file, []) == ["cat", "big dog"]
    file.write_text("cat\n\ndog\n")
    expected = f"{file}:2: empty, so class 1 has no name; remove the line or name the class"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        listed_names(file, [])


def test_yaml_keeps_texts(tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text("names: [no, yes, on, off, null, 1, 1.50, 2020-01-01, 0x1F, ~]\ntrain: &t images\nval: *t\n")
    names = ["no", "yes", "on", "off", None, "1", "1.50", "2020-01-01", "0x1F", None]
    assert read_yaml(file) == {"names": names, "train": "images", "val": "images"}


LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text, message",
    (
        (LAUGHS, r":2: not valid YAML \(an alias of a list or mapping, which is not read\)"),
        ("a: &a {b: 1}\nc: {<<: *a}\n", ":2: not valid YAML"),
        ("[" * 5000, ": not valid YAML"),
        ("names: [\n", ":2: not valid YAML"),
        ("a\x00b", ": not valid YAML"),
        ("names: !!python/object/apply:os.system [ls]", ":1: not valid YAML"),
        ("x" * 1_048_577, ": 1,048,577 bytes of YAML; at most 1,048,576 are accepted, set CSPKERAS_MAX_YAML"),
    ),
)
def test_yaml_that_is_refused(tmp_path, text, message):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"^{tmp_path}/data.yaml{message}") as caught:
        read_yaml(tmp_path / "data.yaml")
    assert len(str(caught.value)) < 400
