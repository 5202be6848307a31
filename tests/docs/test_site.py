"""The documentation site: it builds without a warning, is whole, and nothing in it leads nowhere."""

import shutil
import subprocess
import sys
from argparse import _SubParsersAction
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import reference

from cspkeras.commands.main import make_parser
from cspkeras.tflite.device import classify, detect

ROOT = Path(__file__).parents[2]
PARSERS = {"cspkeras": make_parser, "detect.py": detect.command_parser, "classify.py": classify.command_parser}
pytestmark = pytest.mark.integration


class Page(HTMLParser):
    """A page's links, the names that links can lead to, and its text."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names, self.texts = [], {""}, []
        self.feed(path.read_text("utf-8"))
        self.text = " ".join("".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [given[key] for key in ("href", "src") if given.get(key)]
        self.names |= {given[key] for key in ("id", "name") if given.get(key)}

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site's pages by their paths."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "docs"  # the build writes the reference's pages next to the others
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=_only_what_pages_need)
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", source, folder / "html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-5000:]
    return {path: Page(path) for path in (folder / "html").rglob("*.html")}


def _only_what_pages_need(folder, names):
    if Path(folder) == ROOT:
        return {name for name in names if name not in ("docs", "tflite", "android_demo") and not name.endswith(".md")}
    return {name for name in names if name in ("build", "generated", "__pycache__")}


def test_every_link_leads_somewhere(site):
    broken = set()
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.exists() and (target not in site or unquote(parts.fragment) in site[target].names)
            if not there:
                broken.add((path.name, link))
    assert not broken
    assert sum(len(page.links) for page in site.values()) > 1000


def test_every_public_name_is_in_the_reference(site):
    shown = set().union(*(page.names for page in site.values()))
    names = {f"{module}.{name}" for members in reference.pages().values() for module, name in members}
    assert len(names) > 100 and names <= shown


def test_every_command_and_flag_is_in_the_reference(site):
    (page,) = (page for path, page in site.items() if path.name == "command_line.html")
    flags = [flag for program, make in PARSERS.items() for flag in _flags(make(), program)]
    assert len(flags) > 100
    assert [flag for flag in flags if flag not in page.names] == []


def _flags(parser, program):
    """The anchor of each command and of each of its flags."""
    name = program.replace(" ", "-")
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for word, inner in action.choices.items():
                yield from _flags(inner, f"{program} {word}")
        else:
            yield from (f"{name}-{flag}" for flag in action.option_strings or [action.metavar or action.dest])


def test_the_search_needs_no_server(site):
    """Its index is a script, which a page opened from a file may load; one that is fetched it may not."""
    (root,) = (path.parent for path in site if path.name == "search.html")
    index = (root / "searchindex.js").read_text("utf-8")
    assert index.startswith("Search.setIndex(")
    words = [word.encode("unicode_escape").decode() for word in ("quantize", "CSPPeleeNet", "그래디언트")]
    assert [word for word in words if word not in index] == []
