"""The demo's page: well-formed, self-contained, escaped, and never half-written."""

import math
import os
import re

import numpy as np
import pytest
from html_page import Page
from markupsafe import escape

from cspkeras.demo.summary_page import write_summary_page

ROWS = [
    {"name": "Keras", "mAP50": 0.91234, "mAP": 0.7, "latency_ms": 20.04},
    {"name": "float16", "mAP50": 0.9, "mAP": None, "size_bytes": 1_934_112, "gpu_delegated": True},
    {"name": "int8", "mAP50": math.nan, "mAP": 0.6, "size_bytes": 812_400, "gpu_delegated": False},
    {"name": "dynamic", "size_bytes": "", "latency_ms": math.inf, "gpu_delegated": None},
]
HISTORY = {
    "training": [
        {"epoch": "1", "loss": "9.5", "val_mAP50": "0.1", "val_mAP": ""},
        {"epoch": "2", "loss": "nan", "val_mAP50": "0.5", "val_mAP": ""},
        {"epoch": "3", "loss": "2.5", "val_mAP50": "0.8", "val_mAP": ""},
    ],
    "quantization-aware training": [{"epoch": 1, "loss": 2.0, "val_mAP50": 0.9}],
}
IMAGE = np.full((6, 8, 3), 200, np.uint8)


def write(folder, **changes):
    arguments = {
        "title": "T",
        "summary": "S",
        "rows": ROWS,
        "history": HISTORY,
        "captioned": [("a 3", IMAGE)],
    }
    path = write_summary_page(folder / "report.html", **{**arguments, **changes})
    return path.read_text(encoding="utf-8")


def test_table_shows_units_and_dashes(tmp_path):
    assert Page(write(tmp_path)).table == [
        ["Model", "mAP50", "mAP", "Size", "Latency (ms)", "GPU delegated"],
        ["Keras", "0.912", "0.700", "–", "20.0", "–"],
        ["float16", "0.900", "–", "1.93 MB", "–", "yes"],
        ["int8", "–", "0.600", "812 kB", "–", "no"],
        ["dynamic", "–", "–", "–", "–", "not checked"],
    ]


def test_a_classifiers_table_and_chart_have_its_accuracy(tmp_path):
    rows = [{"name": "Keras", "top1": 0.75, "top5": 1.0, "loss": 0.4}]
    text = write(tmp_path, rows=rows, history={"run": [{"epoch": 1, "val_top1": 0.75}]})
    assert Page(text).table == [
        ["Model", "top-5", "top-1", "Size", "Latency (ms)", "GPU delegated"],
        ["Keras", "1.000", "0.750", "–", "–", "–"],
    ]
    assert [curve["class"] for curve in curves(text)] == ["curve run0 dotted"]


def test_page_is_accessible_and_self_contained(tmp_path):
    text = write(tmp_path, notes=["seed 0"])
    page = Page(text)
    assert {header["scope"] for header in page.all("th")} == {"col", "row"}
    assert [image["alt"] for image in page.all("img")] == ["a 3"]
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert not re.search(r"https?://|@import|url\(", text)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}


def test_curves_break_at_missing_values_and_keep_single_points(tmp_path):
    text = write(tmp_path)
    assert "nan" not in text
    paths = {(p["class"].split()[1], p["d"].count("M"), p["d"].count("L")) for p in curves(text)}
    assert paths == {("run0", 2, 0), ("run0", 1, 2), ("run1", 1, 0)}


def test_curves_follow_the_values(tmp_path):
    rows = [{"epoch": e, "loss": loss} for e, loss in ((1, 0.0), (2, 5.0), (4, 10.0))]
    (curve,) = curves(write(tmp_path, history={"run": rows}))
    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split()) for point in re.findall(r"[\d.]+ [\d.]+", curve["d"]))
    assert x3 - x2 == pytest.approx(2 * (x2 - x1), abs=0.3)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.3) and y1 > y2


@pytest.mark.parametrize("history", ({"run": []}, {"run": [{"epoch": 1}]}, {"run": [{"epoch": 0, "loss": 0}]}))
def test_histories_with_little_in_them(tmp_path, history):
    text = write(tmp_path, history=history)
    Page(text)
    assert "not recorded" in text


def test_empty_parts_are_left_out(tmp_path):
    text = write(tmp_path, rows=[], history={}, captioned=[])
    Page(text)
    assert "<svg" not in text and "<img" not in text and "Images" not in text


def test_what_comes_from_outside_is_escaped(tmp_path):
    evil = "<script>'\"&"
    text = write(
        tmp_path,
        title=evil,
        summary=evil,
        rows=[{"name": evil}],
        history={evil: HISTORY["training"]},
        captioned=[(evil, IMAGE)],
        steps=[(evil, evil)],
        notes=[evil],
    )
    page = Page(text)
    # the title twice; the run in two legends and two labels; the caption again as alt text; the step's two parts
    assert "<script" not in text and text.count(escape(evil)) == 13
    assert page.all("img")[0]["alt"] == evil


@pytest.mark.parametrize("where", ("images", "replace"))
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, where):
    old = write(tmp_path)

    def refuse(*_):
        raise OSError("disk full")

    if where == "images":
        with pytest.raises(ValueError, match=r"float32 of shape \(6, 8, 3\)"):
            write(tmp_path, title="new", captioned=[("b", IMAGE.astype(np.float32))])
    else:
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="disk full"):
            write(tmp_path, title="new")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == old
    assert os.listdir(tmp_path) == ["report.html"]


def curves(text):
    """The curves of the panels, without the legend's samples."""
    return [p for p in Page(text).all("path") if p["class"].startswith("curve") and "h0" in p["d"]]
