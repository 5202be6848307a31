"""The examples of docs/development/adding.md, made in a copy of the tree: their lists of places are complete."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/development/adding.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
COPIED = "cspkeras", "training", "tflite", "tests", "benchmarks", "docs", "pyproject.toml", "README.md"


def add(root, place, text):
    """Put a block of the page where its first line says."""
    name, _, where = place.partition(", ")
    how, _, anchor = where.partition(": ")
    file = root / name
    old = file.read_text("utf-8") if file.exists() else ""
    if not how:
        new = f"{old}{text}" if old else text
    elif how == "instead of":
        assert anchor in old
        new = old.replace(anchor, text.rstrip("\n"))
    else:
        assert how == "after" and old.count(anchor) == 1
        end = old.index("\n", old.index(anchor)) + 1
        new = old[:end] + text + old[end:]
    file.write_text(new, "utf-8")


@pytest.mark.integration
@pytest.mark.parametrize("section", SECTIONS)
def test_the_places_of_an_addition_are_all_listed(section, tmp_path):
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    for place, text in re.findall(r"```python\n# (.*?)\n(.*?)```", SECTIONS[section], re.S):
        add(tmp_path, place, text)
    # As installed: the three folders are one package.
    package = tmp_path / "installed" / "cspkeras"
    package.mkdir(parents=True)
    for path in [*(tmp_path / "cspkeras").iterdir(), tmp_path / "training", tmp_path / "tflite"]:
        (package / path.name).symlink_to(path)
    found = [str(package.parent), os.environ["PYTHONPATH"].replace(str(ROOT), str(tmp_path))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(found)}
    (commands,) = re.findall(r"```sh\n(.*?)```", SECTIONS[section], re.S)
    for command in commands.splitlines():
        pytest_, *arguments = shlex.split(command)
        assert pytest_ == "pytest"
        options = ("-q", "-m", "", "-n0", "-p", "no:cacheprovider")
        command = [sys.executable, "-P", "-m", "pytest", *options, *arguments]  # -P: not the copy's cspkeras/ alone
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
