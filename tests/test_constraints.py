"""constraints.txt: the versions of a clone that works, within the ranges of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RANGES = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
VERSIONS = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}


def test_each_line_is_one_version():
    """No hashes, addresses or marks: what is there holds for each index and each Python."""
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in LINES)
    assert len(VERSIONS) == len(LINES) > 100


@pytest.mark.parametrize("text", [one for one in RANGES if not one.startswith("cspkeras[")])
def test_the_version_is_within_the_range(text):
    requirement = Requirement(text)
    assert VERSIONS[canonicalize_name(requirement.name)] in requirement.specifier


def test_make_installs_these():
    assert "--editable '.[dev]' --constraint constraints.txt" in (ROOT / "Makefile").read_text()
