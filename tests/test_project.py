"""The project itself: style, and that the README says what is so."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.commands.main import make_parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff(arguments):
    done = subprocess.run([sys.executable, "-m", "ruff", *arguments, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    inner = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("cspkeras/**/__init__.py")}
    assert set(listed) == {"cspkeras.tflite", "cspkeras.training", *inner}


@pytest.mark.parametrize("line", re.findall(r"^    cspkeras (.*?)(?: +#.*)?$", README, re.M))
def test_the_readmes_commands_are_understood(line):
    make_parser().parse_args(shlex.split(line))


def test_make_runs_every_folder_of_tests():
    (suites,) = re.findall(r"^SUITES := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert set(suites.split()) == {str(file.parent.relative_to(ROOT)) for file in ROOT.glob("tests/**/test_*.py")}


def test_the_readmes_code_is_python():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    compile(code, "README.md", "exec")
    for name in re.findall(r"cspkeras\.([A-Z]\w+)\(", code):
        assert hasattr(cspkeras, name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PeleeNet", {}),
        ("CSPPeleeNet", {}),
        ("CSPResNet50", {"input_shape": (256, 256, 3)}),
        ("CSPResNeXt50", {"input_shape": (256, 256, 3)}),
        ("CSPDarknet53", {"input_shape": (256, 256, 3)}),
        ("CSPPeleeNetPRN", {}),
        ("CSPPeleeNetEFM", {"sam": False}),
        ("CSPPeleeNetEFM", {}),
    ],
)
def test_the_readmes_table_is_counted(name, options):
    call = f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})" if name.endswith("EFM") else name
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{call}`")]
    counted = complexity(getattr(cspkeras, name)(**options))
    assert f"| {counted.trainable:,} |" in row
    assert f"| {counted.bflops:.3f} at" in row
