"""Every Python block of a page runs, those of a page one after the other; every recipe is one that loads."""

from pathlib import Path

import keras
import pytest
from markdown_code import blocks
from small_data import small_voc
from small_networks import shallow_detector

import cspkeras
from cspkeras.training import Recipe, load_recipe

ROOT = Path(__file__).parents[2]
APART = {"adding.md", "README.ko.md"}  # run by test_adding.py; the same as README.md
PAGES = {
    str(page.relative_to(ROOT)): [*blocks(page.read_text("utf-8"))]
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if page.name not in APART
}
LANGUAGES = {"sh", "python", "toml", "{toctree}", "{include}", "{eval-rst}"}
SMALLER = {  # what a page says, and what is run in its place
    "(320, 320, 3)": "(64, 64, 3)",
    'load_recipe("finetune")': "Recipe(epochs=1, batch_size=2)",
    'load_recipe("quantization")': "Recipe(epochs=1, batch_size=2)",
}


def pages_with(language):
    """The pages with code in a language, the README's among the slow tests."""
    names = [name for name, code in PAGES.items() if any(one == language for one, _ in code)]
    return [
        pytest.param(name, marks=pytest.mark.slow if name == "README.md" else pytest.mark.integration) for name in names
    ]


def small(classes, input_shape):
    """A detector in place of one that takes minutes to train."""
    return shallow_detector(input_shape[0], classes)


def test_all_code_is_in_a_language_that_is_checked():
    assert {one.partition(" ")[0] for code in PAGES.values() for one, _ in code} <= LANGUAGES


@pytest.mark.parametrize("name", pages_with("python"))
def test_the_python_of_a_page_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_voc(tmp_path / "VOC")
    if any(step in code for _, code in PAGES[name] for step in ("fit(", "evaluate(")):
        for detector in ("YOLOXNano", "CSPPeleeNetEFM"):
            monkeypatch.setattr(cspkeras, detector, small)
    known = {"Recipe": Recipe}
    if "figure2" in name:  # a fragment
        known |= {"x": keras.Input((32, 32, 16)), "blocks": keras.layers.Conv2D(8, 3, padding="same")}
    for language, code in PAGES[name]:
        if language == "python":
            for said, run in SMALLER.items():
                code = code.replace(said, run)
            exec(compile(code, name, "exec"), known)


@pytest.mark.parametrize("name", pages_with("toml"))
def test_the_recipes_of_a_page_load(name, tmp_path):
    for language, code in PAGES[name]:
        if language == "toml":
            path = tmp_path / "recipe.toml"
            path.write_text(code, "utf-8")
            load_recipe(path)
