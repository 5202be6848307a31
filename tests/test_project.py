"""The project itself: its style, how its parts depend on each other, and that the README says what is so."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import architecture
import pytest

import cspkeras
from cspkeras.commands.main import make_parser
from cspkeras.registry import NETWORKS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
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


@pytest.mark.parametrize("line", re.findall(r"^    cspkeras (.*?)(?: +#.*)?$", README, re.M))
def test_the_readmes_commands_are_understood(line):
    make_parser().parse_args(shlex.split(line))


def test_the_readmes_code_is_python():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    compile(code, "README.md", "exec")
    for name in re.findall(r"cspkeras\.([A-Z]\w+)\(", code):
        assert hasattr(cspkeras, name)


def test_the_readmes_tables_have_every_network():
    """Their figures are compared by `docs/generate.py --check`."""
    tables = re.findall(r"<!-- table: \w+ -->(.*?)<!-- end -->", README, re.S)
    assert set(re.findall(r"`(\w+)`", "".join(tables))) == set(NETWORKS)


def test_the_readmes_paths_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    named = re.findall(r"`((?:cspkeras|training|tflite|benchmarks|docs|android_demo)/[\w/.]*)`", README)
    named += re.findall(r"\b((?:benchmarks|docs)/\w+\.py)\b", README)
    assert [name for name in links + named if not (ROOT / name).exists()] == []
