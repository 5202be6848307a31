"""`cspkeras analyze`."""

import pytest
from html_page import Page

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.commands.main import main

pytestmark = pytest.mark.integration


def test_two_networks_side_by_side(tmp_path, capsys):
    page = tmp_path / "page.html"
    command = ["analyze", "CSPPeleeNet", "--against", "PeleeNet", "--size", "416", "--html", str(page)]
    assert main(command) == 0
    out = capsys.readouterr().out
    lines = {line[:44].strip(): line[44:].split() for line in out.splitlines()}
    assert lines["costliest layer, BFLOPs"] == ["0.1994", "0.3544", "−43.8", "%"]  # the paper's figure
    html = Page(page.read_text())
    assert len(html.all("figure")) == 6  # three charts of each
    bars = [path["d"].count("L") for path in html.all("path") if path.get("class", "").startswith("curve bars")]
    counts = [len(complexity(cspkeras.get_model(name)).each) for name in ("CSPPeleeNet", "PeleeNet")]
    assert bars == 3 * counts
    assert ["costliest layer, BFLOPs", "0.1994", "0.3544", "−43.8 %"] in html.table


def test_a_file_and_classes(tmp_path, models, capsys, one_error):
    assert main(["analyze", str(models / "detector.keras")]) == 0
    assert "difference" not in capsys.readouterr().out
    for arguments, expected in (
        (["CSPPeleNet"], "MODEL must be a network's name or a .keras file, such as CSPPeleeNet"),
        ([models / "detector.keras", "--size", "64"], "--size and --classes are for networks by name"),
        ([models / "missing.keras"], "missing.keras: missing; expected a .keras file"),
        ([models / "text.keras"], "text.keras: not a .keras file that can be loaded"),
    ):
        assert expected in one_error("analyze", *arguments)
