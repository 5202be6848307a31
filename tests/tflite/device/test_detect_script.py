"""The device's Detector as a module, on a network that needs no training."""

import ast
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from cell_detector import GREEN, RED, drawn_image

from cspkeras.tflite.device import decoding, detect, frames, suppression

SCRIPT = Path(detect.__file__).resolve()


PLACEMENTS = [  # (height, width) of the image, of the input, resize -> left, top, width, height
    ((64, 96), (64, 96), "letterbox", (0, 0, 96, 64)),
    ((128, 192), (64, 96), "letterbox", (0, 0, 96, 64)),
    ((256, 128), (64, 96), "letterbox", (32, 0, 32, 64)),
    ((480, 640), (416, 416), "letterbox", (0, 52, 416, 312)),
    ((427, 640), (416, 416), "letterbox", (0, 69, 416, 278)),  # 277.55
    ((640, 427), (416, 416), "letterbox", (69, 0, 278, 416)),
    ((333, 500), (416, 416), "letterbox", (0, 69, 416, 277)),  # 277.06, an odd margin
    ((30, 20), (416, 416), "letterbox", (69, 0, 277, 416)),  # enlarged
    ((1, 5000), (64, 96), "letterbox", (0, 31, 96, 1)),  # never thinner than a pixel
    ((333, 500), (64, 96), "stretch", (0, 0, 96, 64)),
    ((480, 640), (416, 416), "topleft", (0, 0, 416, 312)),
]


@pytest.mark.parametrize("image_size, input_size, resize, expected", PLACEMENTS)
def test_placement_and_boxes_mapped_back(image_size, input_size, resize, expected):
    left, top, width, height = frames.placement(image_size, input_size, resize)
    assert (left, top, width, height) == expected
    canvas = frames.to_input(np.full((*image_size, 3), 200, np.uint8), input_size, resize, fill=114)
    assert canvas.shape == (*input_size, 3) and canvas.dtype == np.uint8
    inside = np.zeros(input_size, bool)
    inside[top : top + height, left : left + width] = True
    assert (canvas[inside] == 200).all() and (canvas[~inside] == 114).all()
    # An image's own boxes, sent to the input by hand, come back.
    fractions = np.float32([[0, 0, 1, 1], [0.25, 0.1, 0.5, 0.7], [0.99, 0.5, 1, 0.51]])
    sent = fractions * ([width, height] * 2) + [left, top] * 2
    back = frames.to_image(np.float32(sent / ([*input_size[::-1]] * 2)), image_size, input_size, resize)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, fractions * ([*image_size[::-1]] * 2), atol=1e-4 * max(image_size))


def test_boxes_are_clipped_to_the_image():
    boxes = np.float32([[-0.5, -0.5, 1.5, 1.5], [0, 0, 0.2, 1]])  # the second one lies in the margin
    back = frames.to_image(boxes, (256, 128), (64, 96), "letterbox")
    np.testing.assert_array_equal(back, [[0, 0, 128, 256], [0, 0, 0, 256]])


@pytest.mark.integration
@pytest.mark.parametrize(
    "image_size, input_size, resize, expected",
    [
        ((720, 1280), (416, 416), "letterbox", (360, 640)),
        ((2160, 3840), (416, 416), "letterbox", (270, 480)),
        ((720, 1280), (224, 224), "crop", (360, 640)),  # the next half would have to be enlarged
        ((720, 1280), (96, 416), "stretch", (360, 640)),
        ((721, 1280), (416, 416), "letterbox", (721, 1280)),  # odd
        ((480, 640), (416, 416), "letterbox", (480, 640)),
    ],
)
def test_a_frame_is_halved_as_long_as_it_has_to_shrink(image_size, input_size, resize, expected):
    rows, columns = np.mgrid[: image_size[0], : image_size[1]] / np.reshape(image_size, (2, 1, 1)) * 255
    image = np.stack([rows, columns, 255 - rows], axis=-1).astype(np.uint8)
    small = frames.halved(image, input_size, resize)
    assert small.shape == (*expected, 3)
    whole, quick = (frames.to_input(one, input_size, resize, fill=114).astype(int) for one in (image, small))
    assert abs(whole - quick).max() <= 2


@pytest.mark.integration
def test_a_detector_finds_in_a_frame_what_it_finds_in_the_image(model):
    detector, image = detect.Detector(model("float32"), threads=1), drawn_image(512, 384, (256, 64, 384, 192))
    whole, quick = (detector.detect(detector.prepare(image, video=video)) for video in (False, True))
    assert len(whole["boxes"]) == 1
    for key in whole:
        np.testing.assert_allclose(quick[key], whole[key], rtol=1e-3, err_msg=key)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(
    "size, box, color, resize",
    [
        ((96, 64), (16, 32, 32, 48), RED, "letterbox"),
        ((192, 128), (64, 32, 96, 64), GREEN, "letterbox"),
        ((128, 256), (64, 64, 128, 128), (0, 0, 255), "letterbox"),
        ((192, 256), (0, 192, 32, 256), RED, "stretch"),
    ],
)
def test_detector_finds_a_rectangle_where_it_is(model, precision, size, box, color, resize):
    detector = detect.Detector(model(precision, resize=resize), threads=1)
    found = detector.detect(drawn_image(*size, box, color))
    assert found["labels"].tolist() == [color.index(255)]
    assert found["boxes"].dtype == found["scores"].dtype == np.float32
    np.testing.assert_allclose(found["boxes"], [box], atol=0.02 * max(size) if precision == "int8" else 0.1)
    assert 0.85 < found["scores"][0] <= 1
    assert list(detector.times) == ["preprocess", "inference", "postprocess"]
    assert all(0 < time < 1000 for time in detector.times.values())


def test_one_box_may_have_several_classes_and_the_margin_has_none(model):
    detector = detect.Detector(model())
    found = detector.detect(drawn_image(96, 64, (16, 32, 32, 48), (255, 200, 0)))
    assert found["labels"].tolist() == [0, 1]
    np.testing.assert_allclose(found["boxes"][0], found["boxes"][1])
    # The margin of a tall image is grey, 114 / 255 of every colour: boxes there lie outside the image.
    found = detector.detect(drawn_image(128, 256), score_threshold=0.4)
    assert {key: len(value) for key, value in found.items()} == {"boxes": 0, "labels": 0, "scores": 0}
    assert found["boxes"].shape == (0, 4)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_only_better_scores_and_the_best_of_them_are_candidates(model, precision, monkeypatch):
    detector = detect.Detector(model(precision))
    image = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    everything = detector.detect(image, score_threshold=0, iou_threshold=1)
    scores = everything["scores"]
    assert len(scores) > 130 and (np.diff(scores) <= 0).all()
    for threshold in (0.1, 0.5, 0.77, 1.0):
        found = detector.detect(image, threshold, iou_threshold=1)
        np.testing.assert_array_equal(found["scores"], scores[scores > threshold])
    if precision == "float32":
        colors = image[::16, ::16].ravel() / 255
        expected = np.sort([*colors, *colors * 0.9])[::-1]
        np.testing.assert_allclose(scores, expected[: len(scores)], atol=1e-5)
    monkeypatch.setattr(decoding, "CANDIDATES", 10)
    best = detector.detect(image, score_threshold=0, iou_threshold=1)
    for key in best:
        np.testing.assert_array_equal(best[key], everything[key][:10])


@pytest.mark.parametrize("method", suppression.SUPPRESSIONS)
def test_scores_and_boxes_of_nan_are_dropped(model, monkeypatch, method):
    detector = detect.Detector(model())
    image = drawn_image(96, 64, (16, 32, 64, 48))  # three red cells
    expected = detector.detect(image, suppression=method)
    assert len(expected["scores"]) >= 3
    tensor = detector._interpreter.tensor

    def broken(index):
        values = tensor(index)().copy()
        if values.shape[-1] == 4:
            values[0, :3, 1] = np.nan  # boxes of cells that the image has black
            values[0, 3] = np.nan
        else:
            values[0, :4, 0] = 0.99
            values[0, 4:8] = np.nan
        return lambda: values

    monkeypatch.setattr(detector._interpreter, "tensor", broken)
    found = detector.detect(image, suppression=method)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])


@pytest.mark.parametrize(
    "image, options, message",
    [
        (np.zeros((8, 8, 3), np.float32), {}, "needs uint8 (height, width, 3). Received: float32 (8, 8, 3)"),
        (np.zeros((8, 8), np.uint8), {}, "Received: uint8 (8, 8)"),
        (np.zeros((8, 8, 4), np.uint8), {}, "Received: uint8 (8, 8, 4)"),
        (np.zeros((0, 8, 3), np.uint8), {}, "Received: uint8 (0, 8, 3)"),
        (drawn_image(8, 8), {"score_threshold": 25}, "thresholds go from 0 to 1. Received: 25, 0.5"),
        (drawn_image(8, 8), {"score_threshold": float("nan")}, "thresholds go from 0 to 1. Received: nan, 0.5"),
        (drawn_image(8, 8), {"suppression": "fast"}, "must be one of greedy, diou, soft. Received: 'fast'"),
        (drawn_image(8, 8), {"iou_threshold": -1}, "thresholds go from 0 to 1. Received: 0.5, -1"),
    ],
)
def test_detect_names_what_it_refuses(model, image, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        detect.Detector(model()).detect(image, **options)


def test_without_a_runtime_the_error_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        detect.Detector(model())


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("classify.py", {"command", "decoding", "network"}),
        ("command.py", {"frames", "interpreter", "labels", "printing"}),
        ("contents.py", {"flatbuffer", "labels", "limits"}),
        ("decoding.py", set()),
        ("detect.py", {"command", "decoding", "drawing", "formats", "frames", "network", "suppression"}),
        ("drawing.py", set()),
        ("flatbuffer.py", set()),
        ("formats.py", {"decoding"}),
        ("frames.py", {"limits"}),
        ("interpreter.py", {"contents", "limits"}),
        ("labels.py", {"limits"}),
        ("limits.py", set()),
        ("network.py", {"contents", "frames", "interpreter"}),
        ("printing.py", set()),
        ("suppression.py", set()),
    ],
)
def test_it_imports_nothing_that_a_device_lacks(name, beside):
    nodes = list(ast.walk(ast.parse(SCRIPT.with_name(name).read_text())))
    imports = [node for node in nodes if isinstance(node, ast.Import)]
    origins = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names} | {node.module for node in origins}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"PIL", "numpy"} == beside
