"""The page of an evaluation: self-contained, escaped, and with the mistakes where they are."""

import json
import re

import numpy as np
import pytest
from html_page import Page
from markupsafe import escape

from cspkeras.training import DetectionData, Example
from cspkeras.training.evaluation.detection_report import DETECTION, TRUTH, _drawn, write_detection_report
from cspkeras.training.evaluation.mistakes import assess

EVIL = "<script>'\"&"


def assessed(classes, found, size=(200, 300), problems=(), names=None):
    """An assessment of a grey image for each class, with one object of it, of which `found` are found."""
    box, answers, examples = np.float32([[40, 40, 120, 160]]), [], []
    for k in range(classes):
        examples.append(Example(np.full((*size, 3), 120, "uint8"), box, np.int64([k])))
        boxes = box if k < found else box[:0]
        answers.append({"boxes": boxes, "labels": np.full(len(boxes), k), "scores": np.full(len(boxes), 0.9)})
    data = DetectionData(examples, names or tuple(f"{EVIL}{k}" for k in range(classes)), list(problems))
    return assess(lambda images, **_: [answers.pop(0) for _ in images], data)


@pytest.mark.parametrize("classes, found", ((1, 1), (1, 0), (3, 2), (12, 6)))
def test_the_page(tmp_path, classes, found):
    path = write_detection_report(tmp_path / "new", assessed(classes, found, problems=[EVIL] * 30), EVIL, [EVIL])
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text and "nan" not in text and not re.search(r"https?://|@import|url\(", text)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert len(page.all("img")) == classes - found
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    rows = {row[0]: row[1:] for row in page.table if row}
    assert rows["AP, IoU 0.50"] == [f"{found / classes:.3f}"] and rows["AP, small objects"] == ["–"]
    if found < classes:
        assert f"image {found}: 1 missed" in text
    assert "30 problems in the data" in text and text.count(f"{escape(EVIL)}</li>") == 11
    known = json.loads((tmp_path / "new/evaluation.json").read_text())
    assert known["mAP50"] == pytest.approx(found / classes) and len(known["problems"]) == 30
    assert sorted(file.name for file in path.parent.iterdir()) == ["evaluation.html", "evaluation.json"]


def test_the_confusion_matrix_shows_what_occurs(tmp_path):
    page = Page(write_detection_report(tmp_path, assessed(3, 2), "T").read_text())
    (header,) = [i for i, row in enumerate(page.table) if row[-1:] == ["background"] and row[0] != "background"]
    names = [f"{EVIL}{k}" for k in range(3)]
    assert page.table[header : header + 5] == [
        [*names, "background"],
        [names[0], "1"],
        [names[1], "1"],
        [names[2], "1"],
        ["background", "–"],
    ]


def test_classes_called_as_the_report_calls_other_things(tmp_path):
    names = ("background", "mean", "mAP")
    page = Page(write_detection_report(tmp_path, assessed(3, 2, names=names), "T").read_text())
    (header,) = [i for i, row in enumerate(page.table) if row[-1:] == ["background (no object)"] and len(row) == 4]
    assert page.table[header : header + 5] == [
        [*names, "background (no object)"],
        ["background", "1"],
        ["mean", "1"],
        ["mAP", "1"],
        ["background (no object)", "–"],
    ]
    (curves,) = (legend for legend in page.legends if "mean" in legend)
    assert curves == [*names, "mean of the classes"]
    known = json.loads((tmp_path / "evaluation.json").read_text())
    assert known["confusion"]["classes"] == [*names, "background (no object)"]
    assert known["mAP50"] == pytest.approx(2 / 3)
    for part in ("per_class", "curves"):
        assert list(known[part]) == list(names)
    assert [known["per_class"][name]["AP50"] for name in names] == pytest.approx([1, 1, 0], abs=1e-3)


def test_a_class_called_mean_among_many(tmp_path):
    page = Page(write_detection_report(tmp_path, assessed(5, 5, names=tuple("abcd") + ("mean",)), "T").read_text())
    assert ["the classes", "mean"] in page.legends


@pytest.mark.parametrize(
    "size, shown", (((200, 400), (200, 400)), ((1000, 2000), (320, 640)), ((160, 160), (320, 320)))
)
def test_mistakes_are_drawn_in_their_place(size, shown):
    box, wrong = (np.float32([part]) * (size[::-1] * 2) for part in ((0.1, 0.1, 0.4, 0.6), (0.5, 0.2, 0.9, 0.8)))
    data = DetectionData([Example(np.full((*size, 3), 120, "uint8"), box, np.int64([0]))], ("a",))
    found = {"boxes": wrong, "labels": np.zeros(1, int), "scores": np.float32([0.9])}
    image = _drawn(assess(lambda *_, **__: [found], data), 0, ("a",))
    assert image.shape == (*shown, 3)
    scale = shown[0] / size[0]
    for (x1, y1, x2, y2), colour in ((box[0], TRUTH), (wrong[0], DETECTION)):
        edges = np.argwhere((image == colour).all(-1))
        low, high = edges.min(0) / scale, edges.max(0) / scale
        np.testing.assert_allclose([low[1], low[0], high[1], high[0]], [x1, y1, x2, y2], atol=2 / scale)
