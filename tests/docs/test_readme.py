"""The READMEs: one page each, alike in both languages, and true."""

import json
import re
from pathlib import Path

import pytest
from markdown_code import blocks, commands, spans

from cspkeras.registry import NETWORKS

ROOT = Path(__file__).parents[2]
ENGLISH, KOREAN = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ko.md"))
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs/guide").glob("*.md"))]
TABLE = re.compile(r"^\|.*\|$", re.M)


@pytest.mark.parametrize("text", (ENGLISH, KOREAN), ids=("English", "Korean"))
def test_a_readme_is_one_page(text):
    lines = text.splitlines()
    assert len(lines) <= 120 and max(map(len, lines)) <= 120


def test_the_korean_readme_says_the_same():
    assert list(commands(KOREAN)) == list(commands(ENGLISH))
    assert _python(KOREAN) == _python(ENGLISH)
    links = [set(re.findall(r"\]\(([^)]+)\)", text)) for text in (ENGLISH, KOREAN)]
    assert links[0] ^ links[1] == {"README.ko.md", "README.md", "docs/paper/index.md"}
    numbers = [[re.findall(r"\d[\d.]*", row) for row in TABLE.findall(text)] for text in (ENGLISH, KOREAN)]
    assert numbers[0] == numbers[1] and len(numbers[0]) > 15
    assert len(re.findall("[가-힣]", KOREAN)) > 700


def _python(text):
    (code,) = (code for language, code in blocks(text) if language == "python")
    return [line.partition("  #")[0] for line in code.splitlines()]


@pytest.mark.parametrize("text", (ENGLISH, KOREAN), ids=("English", "Korean"))
def test_the_numbers_of_a_readme_are_those_of_the_docs(text):
    networks = re.search(r"<!-- table: networks -->(.*?)<!-- end -->", _page("paper/comparison"), re.S)[1]
    rows = TABLE.findall(networks)[2:]
    agreeing = [row for row in rows if row.endswith("| yes |")]
    files = json.loads((ROOT / "docs/measured/files.json").read_text("utf-8"))["networks"]
    assert all(file["delegated"] for network in files.values() for file in network["files"].values())
    (precisions,) = {len(network["files"]) for network in files.values()}
    shown = [int(number) for number in re.findall(r"\d+", text.partition("\n## ")[0].partition("](docs/demo.jpg)")[2])]
    wanted = len(agreeing), len(rows), len(files)
    assert set(wanted) <= set(shown)
    assert precisions == 5 and re.search("five precisions|정밀도 5가지", text)


def test_the_results_are_those_of_the_guide():
    figures = re.findall(r"0\.\d{3}", "".join(TABLE.findall(ENGLISH)))
    known = _page("get_started") + _page("guide/evaluation")
    assert len(figures) == 8 and [figure for figure in figures if figure not in known] == []


def _page(name):
    return (ROOT / f"docs/{name}.md").read_text("utf-8")


def test_the_tables_have_every_network():
    """Their figures are compared by `docs/generate.py --check`."""
    tables = re.findall(r"<!-- table: \w+ -->(.*?)<!-- end -->", _page("guide/models"), re.S)
    assert set(re.findall(r"`(\w+)`", "".join(tables))) == set(NETWORKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_paths_within_sentences_exist(page):
    folders = re.compile(r"((?:cspkeras|training|tflite|benchmarks|docs|android_demo)/[\w/.]*)")
    named = [path for span in spans(page.read_text("utf-8")) for path in folders.findall(span) if "build/" not in path]
    assert [path for path in named if not (ROOT / path).exists()] == []
