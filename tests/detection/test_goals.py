"""The loss and the metrics that a detector is compiled with: what is refused, and what its file holds."""

import itertools

import keras
import numpy as np
import pytest

from cspkeras.detection.anchors import Anchors
from cspkeras.detection.goals import Goals
from cspkeras.detection.losses import YoloLoss, YoloXLoss

ANCHORS, CLASSES = Anchors.published((64, 64)), 3
LOSS = "loss must be a function of (target, raw heads) to a scalar, such as YoloLoss(detector.anchors, 3), or None for "
METRICS = "metrics must be a list of keras.metrics.Metric objects or functions, of (target, raw heads). Received: "


def objects(target, heads):
    return keras.ops.sum(keras.ops.cast(target["labels"] >= 0, "float32"))


def plain(target, heads):
    return keras.ops.sum(heads[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, f"{LOSS}that. Received: 'mse'"),
        ({"loss": keras.losses.MeanSquaredError()}, f"{LOSS}that. Received: keras.src.losses.losses.MeanSquaredError"),
        ({"loss": keras.losses.huber}, f"{LOSS}that. Received: keras.src.losses.losses.huber"),
        ({"loss": ["mse"]}, f"{LOSS}that. Received: ['mse']"),
        ({"loss": YoloLoss}, f"{LOSS}that. Received: the class cspkeras.detection.losses.yolo.YoloLoss"),
        (
            {"loss": YoloXLoss(Anchors.free((64, 64)), CLASSES)},
            "loss must be YoloLoss for anchors of the coding 'yolo'. Received: cspkeras.detection.losses.yolox.Y",
        ),
        ({"metrics": "accuracy"}, f"{METRICS}'accuracy'"),
        ({"metrics": ["accuracy"]}, f"{METRICS}'accuracy'"),
        ({"metrics": {"head_p3": [objects]}}, f"{METRICS}{{'head_p3'"),
        ({"weighted_metrics": [3]}, f"weighted_{METRICS}3"),
        (
            {"metrics": [objects], "weighted_metrics": [objects]},
            "metrics must have names of their own, none 'loss'. Received: objects, objects",
        ),
        (
            {"metrics": [keras.metrics.Mean("loss")]},
            "metrics must have names of their own, none 'loss'. Received: loss",
        ),
    ],
    ids=itertools.count(),  # objects have addresses, which differ between processes
)
def test_what_is_no_loss_or_metric(options, message):
    with pytest.raises(ValueError) as caught:
        Goals(ANCHORS, CLASSES, **options)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize("anchors, kind", [(ANCHORS, YoloLoss), (Anchors.free((64, 64)), YoloXLoss)])
def test_no_loss_is_the_one_that_suits_the_anchors(anchors, kind):
    assert type(Goals(anchors, CLASSES).loss) is kind


def test_a_loss_gets_the_weights_that_it_takes():
    weights, seen = np.float32([1, 2]), []
    for loss in (lambda target, heads, sample_weight: seen.append(sample_weight), lambda *_, **more: seen.append(more)):
        Goals(ANCHORS, CLASSES, loss).loss_of({}, [], weights)
    assert seen[0] is weights and seen[1] == {"sample_weight": weights}
    with pytest.raises(ValueError, match=r"the loss test_goals.plain takes no weights; give it an argument sample_w"):
        Goals(ANCHORS, CLASSES, plain).loss_of({}, [], weights)


def test_a_metric_of_another_kind_is_named():
    goals = Goals(ANCHORS, CLASSES, metrics=[keras.metrics.MeanSquaredError()])
    with pytest.raises(ValueError, match=r"^metric 'mean_squared_error' does not take \(target, raw heads\): "):
        goals.update({"labels": np.zeros((1, 1))}, [np.zeros((1, 2)), np.zeros((1, 3))], None)


@pytest.mark.parametrize(
    "loss",
    [
        None,
        YoloLoss(ANCHORS, CLASSES, 0.5, box="mse", focal_gamma=2.0, focal_parts="classes", class_weights=[1, 2, 3]),
        YoloXLoss(Anchors.free((64, 64)), CLASSES, box_weight=2.0, use_l1=True),
        plain,
    ],
    ids=["default", "yolo", "yolox", "a function"],
)
def test_a_file_holds_them(loss):
    anchors = getattr(loss, "anchors", ANCHORS)
    config = Goals(anchors, CLASSES, loss, [objects], [keras.metrics.Mean("mean")]).get_config()
    with keras.saving.custom_object_scope({"objects": objects, "plain": plain}):
        found = keras.saving.deserialize_keras_object(config)
    again = Goals(anchors, CLASSES, **found)
    assert [metric.name for metric in again.metrics] == ["objects", "mean"] and len(again.weighted) == 1
    assert type(again.given["loss"]) is type(loss)
    if hasattr(loss, "get_config"):
        assert again.loss.get_config() == loss.get_config()


def test_what_a_file_can_not_hold_is_told():
    with pytest.warns(UserWarning, match="<lambda> is not saved with the detector: it has no get_config"):
        assert Goals(ANCHORS, CLASSES, lambda target, heads: 0).get_config()["loss"] is None
