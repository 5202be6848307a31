"""The public names: annotated, documented, with examples that run; a type checker passes over their modules."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_networks import LARGER

import cspkeras
import cspkeras.tflite
import cspkeras.training

ROOT = Path(__file__).parent.parent
FACES = cspkeras, cspkeras.training, cspkeras.tflite
PUBLIC = {f"{face.__name__}.{name}": getattr(face, name) for face in FACES for name in sorted(face.__all__)}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
NOT_IMPERATIVE = re.compile(r"(The|An?|What|Whether|One|Its|All|Every|[A-Z]\w*(?<!s)s)\b(?<!Process)")


def unannotated(function):
    signature = inspect.signature(function)
    missing = [name for name, one in signature.parameters.items() if one.annotation is one.empty]
    missing = [name for name in missing if name not in ("self", "cls")]
    returns = signature.return_annotation is not signature.empty or function.__name__ == "__init__"
    return missing if returns else [*missing, "return"]


def methods(cls):
    """The class's own public methods by name, `__init__` too unless a dataclass has made it."""
    for name, value in vars(cls).items():
        value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        own = inspect.isfunction(value) and value.__code__.co_filename == inspect.getsourcefile(cls)
        if own and (name == "__init__" or not name.startswith("_")):
            yield name, value


def test_the_names_are_functions_and_classes():
    assert len(FUNCTIONS) + len(CLASSES) == len(PUBLIC) > 50


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_annotated(name):
    assert not unannotated(FUNCTIONS[name])


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_is_annotated(name):
    missing = {method: unannotated(value) for method, value in methods(CLASSES[name])}
    assert not {method: names for method, names in missing.items() if names}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_documented_with_an_example(name):
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    first = text.partition("\n")[0]
    assert first.endswith((".", ":")) and not NOT_IMPERATIVE.match(first), first
    assert re.search(r"^Examples?:\n +>>> ", text, re.M)
    parameters = inspect.signature(function).parameters
    if parameters:
        assert "Args:" in text
        told = re.findall(r"^ +\*{0,2}(\w+(?:, \*{0,2}\w+)*):", text[text.index("Args:") :], re.M)
        told = {one.strip("* ") for names in told for one in names.split(",")}
        assert parameters.keys() <= told
    if function.__annotations__.get("return") not in (None, "None"):
        assert "Returns:" in text or "Yields:" in text


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_is_documented(name):
    assert CLASSES[name].__doc__ and not CLASSES[name].__doc__.startswith(CLASSES[name].__name__)


@pytest.mark.integration
@pytest.mark.parametrize("name", [name for name in PUBLIC if name.rpartition(".")[2] not in LARGER])  # whose are alike
def test_the_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for example in doctest.DocTestFinder(recurse=False).find(PUBLIC[name], name):
        report = []
        runner.run(example, out=report.append)
        assert not runner.failures, "".join(report)


@pytest.mark.integration
def test_a_type_checker_passes(tmp_path):
    """On a tree of links, since mypy does not follow an editable installation's mapping."""
    package = tmp_path / "cspkeras"
    package.mkdir()
    for path in [*(ROOT / "cspkeras").iterdir(), ROOT / "training", ROOT / "tflite"]:
        (package / path.name).symlink_to(path)
    modules = {face.__name__ for face in FACES} | {value.__module__ for value in PUBLIC.values()}
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--follow-imports", "silent"]
    command += ["--cache-dir", ROOT / ".mypy_cache", *(part for name in sorted(modules) for part in ("-m", name))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_name_what_is_there():
    for face in FACES[1:]:
        names = Path(face.__file__).with_suffix(".pyi").read_text()
        for module, name, alias in re.findall(r"^from \.(\S+) import (\w+) as (\w+)$", names, re.M):
            assert name == alias and name in face.__all__
            assert getattr(face, name) is getattr(importlib.import_module(f"{face.__name__}.{module}"), name)
