"""The docs: their links lead somewhere, both languages answer the same, and their tables are what is generated."""

import contextlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import architecture
import pytest
from markdown_code import spans

import cspkeras

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), ROOT / "android_demo/README.md"]
QUESTIONS = "gradients", "figure2", "pooling", "exact_fusion", "transitions", "depthwise", "densenet"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_exists(page):
    """Those of the changelog, the first of the pages, are partly of the past."""
    for span in spans(page.read_text("utf-8")):
        for name in re.findall(r"^cspkeras(?:\.\w+)+", span):
            module, attributes = cspkeras, name.split(".")[1:]
            for attribute in attributes:
                with contextlib.suppress(ImportError):
                    importlib.import_module(f"{module.__name__}.{attribute}")
                module = getattr(module, attribute)


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question_is_answered_in_both_languages_with_the_same_figures(name):
    english, korean = ((DOCS / f"paper/{part}{name}.md").read_text("utf-8") for part in ("", "ko/"))
    figures = [re.findall(r"figures/\w+\.svg", text) for text in (english, korean)]
    assert figures[0] and figures[0] == figures[1]
    tables = [re.findall(r"<!-- table: \w+ -->.*?<!-- end -->", text, re.S) for text in (english, korean)]
    assert tables[0] == tables[1]
    assert len(re.findall("[가-힣]", korean)) > 300


def test_every_figure_is_in_use_and_small():
    used = {name for page in PAGES for name in re.findall(r"figures/(\w+)\.svg", page.read_text("utf-8"))}
    assert used == {path.stem for path in (DOCS / "figures").iterdir()}
    assert max(path.stat().st_size for path in (DOCS / "figures").iterdir()) < 150_000


def test_the_architectures_files_exist():
    text = (DOCS / "development/architecture.md").read_text("utf-8")
    files = {f"/{file.relative_to(ROOT).as_posix()}" for file in architecture.modules().values()}
    named = re.findall(r"`([\w/]+\.py)`", text)
    assert len(named) > 20
    assert not [name for name in named if not any(file.endswith(f"/{name}") for file in files)]


@pytest.mark.integration
def test_the_architectures_picture_is_of_the_imports(tmp_path):
    """`python docs/generate.py --figures architecture` draws it anew."""
    architecture.architecture(tmp_path / "drawn.svg")
    drawn, shown = (p.read_text("utf-8") for p in (tmp_path / "drawn.svg", DOCS / "figures/architecture.svg"))
    assert re.findall(r"<text .*?>(.*?)</text>", drawn) == re.findall(r"<text .*?>(.*?)</text>", shown)
    assert drawn.count("patch_") == shown.count("patch_")  # boxes and arrows


def test_the_changelogs_modules_exist():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    named = re.findall(r"^\| `.*\| `(cspkeras[\w.]*)`", text, re.M)
    known = architecture.modules()
    assert len(named) > 30
    assert not [name for name in named if name not in known and name.rpartition(".")[0] not in known]


@pytest.mark.slow
def test_the_tables_are_what_is_generated():
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
