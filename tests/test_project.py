"""The project itself: its style, and how its parts depend on each other."""

import subprocess
import sys
from pathlib import Path

import architecture
import pytest

ROOT = Path(__file__).parent.parent
MODULES = architecture.modules()


@pytest.mark.integration
@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff(arguments):
    done = subprocess.run([sys.executable, "-m", "ruff", *arguments, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_imports_go_one_way():
    """Between files, and between folders of which none is within the other; imports in functions count."""
    arrows = architecture.imports()
    architecture.in_order(arrows)
    folders = architecture.grouped(arrows, lambda module: MODULES[module].parent)
    for folder, others in folders.items():
        others -= {other for other in others if folder in other.parents or other in folder.parents}
    architecture.in_order(folders)


def test_the_check_of_imports_sees_them_all(tmp_path):
    for folder in ("cspkeras/a/b", "training", "tflite"):
        (tmp_path / folder).mkdir(parents=True)
    files = {
        "cspkeras/__init__.py": "from .a import one",
        "cspkeras/a/__init__.py": "from .b import *",
        "cspkeras/a/b/__init__.py": "from .deep import one",
        "cspkeras/a/b/deep.py": "def one():\n    from ...top import late",
        "cspkeras/top.py": "from cspkeras.training import two\nimport cspkeras.a.b.deep",
        "training/__init__.py": "",
        "training/__init__.pyi": "from .inner import two as two",
        "training/inner.py": "from .. import one\nfrom .outer import three",
        "training/outer.py": "import json",
        "tflite/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    arrows = architecture.imports(tmp_path)
    assert arrows == {
        "cspkeras.a.b.deep": {"cspkeras.top"},
        "cspkeras.top": {"cspkeras.training.inner", "cspkeras.a.b.deep"},
        "cspkeras.training.inner": {"cspkeras.a.b.deep", "cspkeras.training.outer"},
        "cspkeras.training.outer": set(),
    }
    with pytest.raises(ValueError, match="cycle"):
        architecture.in_order(arrows)


def test_folders_and_files_stay_small():
    folders = {file.parent for file in MODULES.values()}
    crowded = [folder for folder in folders if len([f for f in folder.glob("*.py") if f.name != "__init__.py"]) > 15]
    assert not crowded
    long = {module: len(file.read_text("utf-8").splitlines()) for module, file in MODULES.items()}
    assert not {module: lines for module, lines in long.items() if lines > 320}
