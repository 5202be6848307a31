"""The page of a classifier's evaluation."""

import json
import re

from html_page import Page
from known_answers import EVIL, LABELS, SCORES, answering, data_of

from cspkeras.training.evaluation.classification import classify
from cspkeras.training.evaluation.classification_report import write_classification_report


def test_the_page(tmp_path):
    found = classify(answering(SCORES), data_of(LABELS))
    text = write_classification_report(tmp_path / "new", found, EVIL, [EVIL]).read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text and "nan" not in text and not re.search(r"https?://|@import|url\(", text)
    assert len(page.all("img")) == 3 and "image 1: " in text and "(0.60)" in text
    assert [f"{EVIL}1", "–", "0.000", "2"] in page.table
    assert json.loads((tmp_path / "new/evaluation.json").read_text()) == found.to_json()
