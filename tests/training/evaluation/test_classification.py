"""A classifier's figures against ones computed by hand."""

import keras
import numpy as np
import pytest
from known_answers import LABELS, SCORES, SIDE, answering, data_of
from PIL import Image

from cspkeras.classification.pixels import Pixels
from cspkeras.training import ClassificationData, LabelledImage
from cspkeras.training.evaluation.classification import answers_of, classify


@pytest.mark.parametrize("kind", ("softmax", "logits"))
def test_figures_of_known_answers(kind):
    scores = np.log(SCORES) + 7 if kind == "logits" else SCORES
    found = classify(answering(scores, kind), data_of(LABELS), batch_size=3)
    expected = dict(top1=1 / 4, top5=3 / 4, loss=-np.log(SCORES[np.arange(4), LABELS]).mean())
    assert found.figures() == pytest.approx(expected, abs=1e-6)
    assert found.matrix.tolist()[:2] == [[1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]] and found.matrix[5, 0] == 1
    assert found.worst() == [1, 2, 3] and found.confidences == pytest.approx([0.5, 0.6, 0.5, 0.3], abs=1e-6)
    rows = list(found.to_json()["per_class"].values())
    assert rows[0] == {"precision": 0.25, "recall": 1.0, "images": 1}
    assert rows[1] == {"precision": None, "recall": 0.0, "images": 2}


def test_the_loss_of_independent_scores_is_keras_own():
    found = classify(answering(SCORES, "sigmoid"), data_of(LABELS), batch_size=3)
    one_hot = np.eye(SCORES.shape[1])[LABELS]
    assert found.losses == pytest.approx(keras.losses.binary_crossentropy(one_hot, SCORES), abs=1e-5)
    assert found.figures()["top1"] == 1 / 4 and found.confidences == pytest.approx([0.5, 0.6, 0.5, 0.3], abs=1e-6)


@pytest.mark.parametrize(("activation", "kind"), [("sigmoid", "softmax"), (None, "logits")])
def test_one_score_tells_two_classes(activation, kind):
    image = keras.Input((SIDE, SIDE, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Dense(1, activation, name="score")(mean))
    model.get_layer("score").set_weights([np.full((3, 1), 255 / 3), np.array([-1.5])])  # grey 0 and 1, or 2 and 3
    answers = answers_of(model)
    assert (answers.kind, answers.classes) == (kind, 2)
    found = classify(answers, data_of([0, 1, 1, 1], classes=2))
    p = 1 / (1 + np.exp(1.5 - np.arange(4)))
    assert found.predicted.tolist() == [0, 0, 1, 1]
    assert found.losses == pytest.approx(-np.log([1 - p[0], *p[1:]]), rel=1e-3)


@pytest.mark.parametrize(("channels", "given"), [(3, None), (1, None), (3, Pixels(0.0, 1.0))])
def test_images_come_in_the_range_and_channels_that_the_model_takes(channels, given):
    image = keras.Input((SIDE, SIDE, channels))
    x = keras.layers.GlobalAveragePooling2D()(image if given else keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(2, name="scores")(x))
    model.get_layer("scores").set_weights([np.ones((channels, 2)) / channels, np.zeros(2)])
    greys = np.full((1, SIDE, SIDE, 3), 51 / 255, "float32")
    expected = 51 if given else 51 / 255
    np.testing.assert_allclose(answers_of(model, given).ask(greys), [[expected, expected]], rtol=1e-4)


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
