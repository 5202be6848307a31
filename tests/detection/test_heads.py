"""Every head: its raw map, its configuration; and the layer that they end in."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import build_kind

from cspkeras.detection import Detector
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.heads import HEADS, RawHead, decoupled_head
from cspkeras.graph import operation_of

SIZE, CLASSES = (64, 96), 2
KINDS = {  # head, options, anchors, and how many of the scores start low
    "yolo": ("yolo", {}, Anchors.published(SIZE), 1),
    "yolo without objectness": ("yolo", {"objectness": False}, Anchors.distances(SIZE), CLASSES),
    "decoupled": ("decoupled", {"width": 16}, Anchors.free(SIZE), 1 + CLASSES),
    "shared": ("shared", {}, Anchors.distances(SIZE, log=True), CLASSES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_heads_start_with_few_objects(kind):
    head, options, anchors, low = KINDS[kind]
    each, depth = len(anchors.boxes[0]), 4 + anchors.objectness + CLASSES
    x = layers.Input((4, 6, 16))
    (raw,) = HEADS[head]({"P4": x}, [each], CLASSES, **options)
    assert raw.shape[1:] == (4, 6, each * depth)
    last = operation_of(raw)
    assert isinstance(last, RawHead) and last.name == "head_p4"
    boxes, *scores = np.split(keras.Model(x, raw)(np.zeros((1, 4, 6, 16))).numpy().reshape(-1, depth), [4], axis=1)
    np.testing.assert_allclose(boxes, 0, atol=1e-2)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores[0][:, :low])), 0.01, atol=1e-3)
    np.testing.assert_allclose(scores[0][:, low:], 0, atol=1e-2)


@pytest.mark.integration
@pytest.mark.parametrize("head", HEADS)
def test_a_detector_is_rebuilt_from_its_configuration(head):
    _, options, anchors, _ = KINDS[head]
    backbone = build_kind("darknet tiny", (*SIZE, 3), include_top=False)
    model = Detector(backbone, "cspnext_pafpn", CLASSES, anchors=anchors, head=head, head_options=options)
    again = Detector.from_config(json.loads(json.dumps(model.get_config())))
    assert again.anchors == model.anchors
    assert {**again.get_config(), "backbone": None} == {**model.get_config(), "backbone": None}
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((1, *SIZE, 3), "float32")
    for found, expected in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_raw_head_interleaves_boxes_and_scores_as_darknet():
    rng = np.random.default_rng(0)
    box, score = (rng.normal(size=(2, 3, 4, 3, depth)).astype("float32") for depth in (4, 6))
    head = RawHead(3)([box.reshape(2, 3, 4, -1), score.reshape(2, 3, 4, -1)])
    np.testing.assert_array_equal(head, np.concatenate([box, score], -1).reshape(2, 3, 4, -1))


def test_the_levels_share_the_convolutions_of_the_shared_head():
    maps = {"P4": layers.Input((4, 6, 16), name="P4"), "P5": layers.Input((2, 3, 16), name="P5")}
    model = keras.Model(maps, HEADS["shared"](maps, [1, 1], CLASSES))
    kernels, norms = 4 * 9 * 16 * 16, 2 * 4 * 2 * 16
    assert sum(weight.size for weight in map(np.asarray, model.trainable_weights)) == (
        kernels + norms + 2 * (16 + 1) * (4 + CLASSES)
    )
    with pytest.raises(ValueError, match="equally many channels. Received: P4 of 16, P5 of 8"):
        HEADS["shared"](maps | {"P5": layers.Input((2, 3, 8))}, [1, 1], CLASSES)
    with pytest.raises(ValueError, match="the shared head has one prediction per cell. Received: 3 anchors per level"):
        HEADS["shared"](maps, [3, 3], CLASSES)


def test_the_decoupled_head_has_one_anchor():
    with pytest.raises(ValueError, match="one prediction per cell. Received: 3 anchors per level"):
        decoupled_head(layers.Input((4, 6, 16)), 3, CLASSES, name="head")
