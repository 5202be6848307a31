"""No name from outside becomes a part of a page: it is shown as text, on every page that the library writes."""

import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from hostile_pages import HOSTILE, PLAIN, write_all
from html_page import Parts

from cspkeras.reports.page import found_caption, write_page

PAGES = "analysis", "bar chart", "detector", "detector of few classes", "classifier", "run", "demo"
CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown_by(what):
    """The hostile names that are on a page."""
    return HOSTILE[:4] if what == "detector of few classes" else HOSTILE


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """(pages with hostile names, pages with plain ones): {what: its path}."""
    folder = tmp_path_factory.mktemp("pages")
    return write_all(folder / "hostile", HOSTILE), write_all(folder / "plain", PLAIN)


@pytest.mark.parametrize("what", PAGES)
def test_a_hostile_name_changes_no_tag(pages, what):
    text, plain = (part[what].read_text("utf-8") for part in pages)
    page = Parts(text)
    assert page.tags == Parts(plain).tags
    assert all(map(page.shows, shown_by(what))) and not CONTROLS.search(text)
    if what == "bar chart":
        ElementTree.fromstring(text)  # well-formed, which a browser insists on


@pytest.mark.parametrize("what", ("detector", "classifier"))
def test_hostile_names_in_the_json_of_an_evaluation(pages, what):
    found = json.loads(pages[0][what].with_name("evaluation.json").read_text("ascii"))
    assert list(found["per_class"]) == list(HOSTILE) and found["problems"] == list(HOSTILE)


def test_what_is_no_markup_is_shown_as_text(tmp_path):
    evil = f"<b>{HOSTILE[0]}</b>"
    page = Parts(write_page(tmp_path / "page.html", evil, evil, [(evil, evil)], [evil]).read_text("utf-8"))
    assert not page.scripts() and "b" not in {tag for tag, *_ in page.tags}
    assert [text.strip() for text in page.texts].count(evil) == 6


def test_what_was_found_is_counted():
    assert found_caption(["WBC", "RBC", "RBC"]) == "found: WBC, 2 × RBC"
    assert found_caption([]) == "found: nothing"


def dumped(address):
    """The document of an address in headless Chromium, after its scripts, as text."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        pytest.skip("no chromium")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode("utf-8")


@pytest.mark.slow
def test_the_browser_runs_what_is_not_escaped(tmp_path):
    path = tmp_path / "page.html"
    for evil in HOSTILE[:2]:
        path.write_text(f"<!doctype html><title>T</title>{evil}")
        assert "<title>owned</title>" in dumped(path.as_uri())


@pytest.mark.slow
@pytest.mark.parametrize("what", PAGES)
def test_no_page_runs_a_hostile_name(pages, what):
    page = Parts(dumped(pages[0][what].as_uri()))
    assert not page.scripts() and "owned" not in page.texts
    assert all(map(page.shows, shown_by(what)))
