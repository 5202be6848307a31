"""Every command on a page is one that its parser understands, and every script, extra and target named there exists."""

import re
import tomllib
from argparse import _SubParsersAction
from pathlib import Path

import pytest
from markdown_code import commands, spans

from cspkeras.commands.main import make_parser
from cspkeras.tflite.device import classify, detect

ROOT = Path(__file__).parents[2]
PAGES = [path for pattern in ("*.md", "docs/**/*.md", "android_demo/*.md") for path in sorted(ROOT.glob(pattern))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in PAGES}
LINES = sorted({(page, *words) for page, text in TEXTS.items() for words in commands(text)})
SPANS = sorted({(page, span) for page, text in TEXTS.items() for span in spans(text) if span.startswith("cspkeras ")})
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
TARGETS = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)[1].split()
DEVICE = {"device/detect.py": detect, "device/classify.py": classify}
OTHERS = {"git", "cd", "pytest", "npm", "adb", "apt-get", "pre-commit", "eval", "jupyter", "."}  # not the project's own


def understood(program, arguments):
    """Raise unless `program` takes the arguments."""
    if program == "cspkeras":
        make_parser().parse_args(arguments)
    elif program in ("python", "python3", ".venv/bin/pip") and arguments[0] == "-m":
        assert arguments[1] in ("venv", "pytest")
    elif program == "python" and arguments[0] in DEVICE:
        DEVICE[arguments[0]].command_parser().parse_args(arguments[1:])
    elif program == "python":
        script, *rest = arguments
        source = (ROOT / script).read_text("utf-8")
        assert [flag for flag in rest if flag.startswith("--") and f'"{flag}"' not in source] == []
    elif program.endswith("pip"):
        named = {extra for word in arguments for part in re.findall(r"\[(.*)\]", word) for extra in part.split(",")}
        files = [ROOT / "tflite" / word if word.startswith("device") else ROOT / word for word in arguments]
        assert named <= EXTRAS.keys()
        assert all(file.exists() for file in files if file.suffix == ".txt")
    elif program == "make":
        assert {word for word in arguments if "=" not in word} <= set(TARGETS)
    else:
        assert program in OTHERS


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_the_commands_of_the_pages_are_understood(line):
    understood(line[1], line[2:])


@pytest.mark.parametrize(
    "program, arguments",
    [
        ("cspkeras", ["train"]),
        ("cspkeras", ["check", "a.tflite", "--npus", "x"]),
        ("python", ["device/detect.py", "--output", "found"]),
        ("python", ["benchmarks/files.py", "--unknown"]),
        ("python", ["benchmarks/none.py"]),
        ("pip", ["install", "cspkeras[none]"]),
        ("make", ["none"]),
        ("rm", ["-rf"]),
    ],
)
def test_a_wrong_command_is_found(program, arguments, capsys):
    with pytest.raises((SystemExit, AssertionError, OSError)):
        understood(program, arguments)


@pytest.mark.parametrize("page, span", SPANS, ids=str)
def test_the_commands_within_sentences_exist(page, span):
    """They need not be complete: `cspkeras train`."""
    parser = make_parser()
    for word in span.split()[1:]:
        inner = next((action for action in parser._actions if isinstance(action, _SubParsersAction)), None)
        if inner and not word.startswith("-") and word.islower():
            parser = inner.choices[word]
    assert set(re.findall(r"--[\w-]+", span)) <= set(parser._option_string_actions)
