"""Raw outputs that the device decodes, beside Keras' own decoding."""

import numpy as np
import pytest
from plain_boxes import CODED, SIZE
from tiny_files import dequantized, made_detector, quantized

from cspkeras.detection.boxes import corners, decode_boxes, decode_scores
from cspkeras.tflite.device.decoding import CODINGS, Grid, best_logits, sigmoid
from cspkeras.tflite.export.settings import decoding_of

CLASSES = 2
KINDS = {
    "float32": (np.float32, 0.0, 0),
    "int8": (np.int8, 0.11, 37),
    "uint8": (np.uint8, 0.07, 200),
    "int16": (np.int16, 1 / 2048, 0),
}


def settings(anchors):
    return dict(
        boxes="raw",
        decode=decoding_of(anchors),
        input=dict(resize="stretch"),
        score_threshold=0.25,
        iou_threshold=0.5,
    )


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coding", CODED)
def test_raw_outputs_are_decoded_as_keras_does(coding, kind, threshold):
    anchors, kind, rng = CODED[coding], KINDS[kind], np.random.default_rng(0)
    grid, depth = anchors.grid(), CLASSES + anchors.objectness
    count = len(grid.origins)
    raw = quantized(rng.normal(0, 1.5, (1, count, 4)), kind), quantized(rng.normal(-1, 2.5, (1, count, depth)), kind)
    outputs = {"boxes": (raw[0], kind), "scores": (raw[1], kind)}
    found = made_detector(settings(anchors), CLASSES, outputs, SIZE).detect(
        np.zeros((*SIZE, 3), np.uint8), threshold, iou_threshold=1
    )
    values = [dequantized(array, kind).astype("float32") for array in raw]
    boxes = np.array(corners(decode_boxes(values[0], grid)))[0]
    scores = np.array(decode_scores(values[1], anchors.objectness))[0]
    boxes = np.clip(boxes, 0, 1) * np.tile(SIZE[::-1], 2)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True)
    rows, labels = (inside & (scores > threshold)).nonzero()
    expected = np.column_stack([100 * scores[rows, labels], 1000 * labels, boxes[rows]])
    ours = np.column_stack([100 * found["scores"], 1000 * found["labels"], found["boxes"]])
    assert len(ours) == len(expected) > 10 and (np.diff(found["scores"]) <= 0).all()
    apart = np.abs(ours[:, None] - expected).max(axis=-1)
    assert apart.min(axis=0).max() < 2e-3 and apart.min(axis=1).max() < 2e-3


@pytest.mark.parametrize("threshold", [0, 0.5, 1])
def test_no_score_of_logits_is_at_or_below_the_threshold(threshold):
    logits = np.float32([[-1e30, 0, 1e30], [np.nan, 20, -3]])
    *places, scores = best_logits(logits, {"quantization": (0.0, 0)}, threshold)
    wanted = {0: [(0, 2), (1, 1), (0, 1), (1, 2)], 0.5: [(0, 2), (1, 1)], 1: []}[threshold]
    assert [*zip(*map(list, places), strict=True)] == wanted and (scores > threshold).all()


@pytest.mark.parametrize("coding", ["yolo", "free"])
def test_settings_of_older_files_and_of_newer_ones(coding):
    anchors = CODED[coding]
    older = {"linear": coding == "free", "levels": decoding_of(anchors)["levels"]}
    assert Grid.of(older, SIZE).coding is Grid.of(decoding_of(anchors), SIZE).coding is CODINGS[coding]
    with pytest.raises(ValueError, match="coding 'polar' is not one of yolo, free, scaled, distances, log_distances"):
        Grid.of({"coding": "polar", "levels": []}, SIZE)


def test_huge_logits_are_no_error_and_nan_is_no_object():
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(sigmoid(np.float32([-1e30, -100, 0, 100, 1e30])), [0, 0, 0.5, 1, 1], atol=1e-30)
    anchors = CODED["free"]
    count = len(anchors.grid().origins)
    raw = np.zeros((1, count, 4), np.float32), np.full((1, count, 1 + CLASSES), -9, np.float32)
    raw[0][0, :, 2:] = 1e30  # as large as exp(8) makes it
    raw[1][0, 5], raw[1][0, 9] = 9, np.nan
    outputs = {name: (array, KINDS["float32"]) for name, array in zip(("boxes", "scores"), raw, strict=True)}
    found = made_detector(settings(anchors), CLASSES, outputs, SIZE).detect(np.zeros((*SIZE, 3), np.uint8))
    assert found["labels"].tolist() == [0, 1]
    np.testing.assert_array_equal(found["boxes"], [[0, 0, *SIZE[::-1]]] * 2)
