"""A classifier's figures against ones computed by hand."""

import numpy as np
import pytest
from known_answers import LABELS, SCORES, SIDE, answering, data_of
from PIL import Image

from cspkeras.training import ClassificationData, LabelledImage
from cspkeras.training.evaluation.classification import classify


@pytest.mark.parametrize("logits", (False, True))
def test_figures_of_known_answers(logits):
    scores = np.log(SCORES) + 7 if logits else SCORES
    found = classify(answering(scores, logits), data_of(LABELS), batch_size=3)
    expected = dict(top1=1 / 4, top5=3 / 4, loss=-np.log(SCORES[np.arange(4), LABELS]).mean())
    assert found.figures() == pytest.approx(expected, abs=1e-6)
    assert found.matrix.tolist()[:2] == [[1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]] and found.matrix[5, 0] == 1
    assert found.worst() == [1, 2, 3] and found.confidences == pytest.approx([0.5, 0.6, 0.5, 0.3], abs=1e-6)
    rows = list(found.to_json()["per_class"].values())
    assert rows[0] == {"precision": 0.25, "recall": 1.0, "images": 1}
    assert rows[1] == {"precision": None, "recall": 0.0, "images": 2}


def test_answers_that_are_no_numbers_are_wrong():
    found = classify(answering(np.full((4, 6), np.nan)), data_of(LABELS))
    assert found.figures()["top1"] == found.figures()["top5"] == 0 and found.to_json()["loss"] is None


def test_broken_images_are_left_out_and_named(tmp_path):
    for name in ("a.png", "c.png"):
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / name)
    (tmp_path / "b.png").write_text("no image")
    data = ClassificationData([LabelledImage(tmp_path / f"{n}.png", 0) for n in "bac"], ("x", "y"))
    lines = []
    found = classify(answering([[0.2, 0.8]]), data, report=lines.append)
    assert found.numbers.tolist() == [1, 2] and [row["image"] for row in found.to_json()["worst"]] == [
        "a.png",
        "c.png",
    ]
    assert len(lines) == len(found.problems) == 1 and "b.png" in lines[0]
