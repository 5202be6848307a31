"""The wheel, built as from a clean clone and installed elsewhere: it has every module and file, and works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"cspkeras": "cspkeras", "training": "cspkeras/training", "tflite": "cspkeras/tflite"}
USE = """
import contextlib, io, sys
import cspkeras, cspkeras.tflite, cspkeras.training
from cspkeras.commands.main import main

faces = cspkeras, cspkeras.training, cspkeras.tflite
for face in faces:
    assert face.__file__.startswith(sys.argv[1]), face.__file__
    assert face.__all__ and all(getattr(face, name) for name in face.__all__)
imagenet = "imagenet_base", "imagenet_gamma", "imagenet_omega"
for recipe in ("coco", "coco_optimal", "finetune", *imagenet, "quantization", "rtmdet"):
    assert cspkeras.training.load_recipe(recipe)
assert cspkeras.YOLOXNano(weights="bccd").class_names
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    assert not main(["models", "CSPPelee*"])
    try:
        main(["demo", "--help"])
    except SystemExit as stop:
        assert not stop.code
assert "CSPPeleeNetEFM" in printed.getvalue() and "--overwrite" in printed.getvalue()
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder, tree = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("tree")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, tree)
    (path,) = folder.iterdir()
    return path


def files():
    """{name in the wheel: file} of all that belongs to the packages."""
    found = {}
    for name, package in FOLDERS.items():
        for file in (ROOT / name).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                found[f"{package}/{file.relative_to(ROOT / name).as_posix()}"] = file
    return found


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_tree(wheel):
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == set(files())
    for kind in (".py", ".pyi", ".toml", ".npz", ".html", ".js", "/py.typed", "/requirements.txt"):
        assert any(name.endswith(kind) for name in packed)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_a_clone_has_every_file_of_the_tree():
    known = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    assert {file.relative_to(ROOT).as_posix() for file in files().values()} <= set(known)


@pytest.mark.slow
def test_the_installed_wheel_works_away_from_the_tree(wheel, tmp_path):
    target = tmp_path / "installed"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", target, wheel)
    run(sys.executable, "-c", USE, target, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(target)})
