"""Others' detectors: their outputs told apart and read, beside plain loops over the published equations."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_files import dequantized, made_detector, quantized

from cspkeras.tflite.device import detect, formats
from cspkeras.tflite.device.contents import Contents, Tensor, look_into

SIZE, CLASSES = (64, 96), 3
CELLS = [(s, row, column) for s in (8, 16, 32) for row in range(64 // s) for column in range(96 // s)]
FLOAT, INT8, UINT8 = (np.float32, 0.0, 0), (np.int8, 1 / 200, -120), (np.uint8, 0.5, 3)


def contents(*shapes, detections=(), classes=0, names=("a", "b", "c", "d")):
    outputs = tuple(Tensor(i, name, shape, "int8") for i, (name, shape) in enumerate(zip(names, shapes, strict=False)))
    return Contents(outputs=outputs, detections=detections, classes=classes)


@pytest.mark.parametrize(
    "outputs, asked, expected",
    [
        (contents((1, 126, 8)), None, ("yolox", 3)),
        (contents((1, 378, 8)), None, ("yolov5", 3)),
        (contents((1, 7, 126)), None, ("yolov8", 3)),
        (contents((1, 126, 4), (1, 126, 3), names=("boxes", "scores")), None, ("cyxhw", 3)),
        (contents((), (), (), (), detections=(0, 1, 2, 3), classes=91), None, ("ssd", 91)),
        (contents((1, 50, 8)), "yolov5", ("yolov5", 3)),  # of other strides
        (contents((1, 126, 8)), "yolov5", ("yolov5", 3)),  # decoded already
        (contents((1, 7, 50)), "yolov8", ("yolov8", 3)),
        (contents((1, 50, 7)), "yolov8", ("yolov8", 3)),  # turned round
    ],
)
def test_formats_are_told_apart_by_their_shapes(outputs, asked, expected):
    assert formats.recognize(outputs, SIZE, asked) == expected


@pytest.mark.parametrize(
    "outputs, asked, message",
    [
        (contents((1, 1000)), None, "its outputs have an unknown format: found a (1, 1000) int8. Known: cyxhw: "),
        (contents((1, 50, 8)), None, "unknown format: found a (1, 50, 8) int8"),
        (contents((1, 126, 8), (1, 4)), None, "found a (1, 126, 8) int8, b (1, 4) int8"),
        (contents((1, 126, 126)), None, "its outputs could be yolox or yolov8: say which with --format; found a "),
        (contents((1, 1000)), "yolox", "--format yolox reads an output (1, P, 5 + C), a box a cell; found a (1, 1000)"),
        (contents((1, 126, 8)), "ssd", "--format ssd reads the four outputs of TFLite_Detection_PostProcess; found a"),
    ],
)
def test_what_is_found_and_known_is_said_of_other_outputs(outputs, asked, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        formats.recognize(outputs, SIZE, asked)


def yolox(values):
    """By YOLOX's paper: cells and exponentials; objectness times class."""
    for (stride, row, column), (x, y, w, h, objectness, *scores) in zip(CELLS, values, strict=True):
        centre, sides = ((x + column) * stride, (y + row) * stride), (math.exp(w) * stride, math.exp(h) * stride)
        yield centre, sides, [objectness * score for score in scores]


def yolov5(values, unit=(1, 1)):
    for x, y, w, h, objectness, *scores in values:
        yield (x * unit[0], y * unit[1]), (w * unit[0], h * unit[1]), [objectness * score for score in scores]


def yolov8(values, unit=(1, 1)):
    for x, y, w, h, *scores in values:
        yield (x * unit[0], y * unit[1]), (w * unit[0], h * unit[1]), scores


def boxes_in(unit, rng, count):
    """Boxes x, y, w, h in the input's pixels, or in parts of it."""
    return rng.uniform((5, 5, 4, 4), (90, 60, 40, 40), (count, 4)) / np.tile(unit, 2)


WHOLE, PIXELS = (96, 64), (1, 1)
RNG = np.random.default_rng(0)
READ = {  # format, values (P, 4 or 5 + C), the equations, the file's numbers, whether boxes stand in columns
    "yolox": ("yolox", RNG.normal(0, 0.5, (126, 4)), yolox, FLOAT, False),
    "yolov5 pixels": ("yolov5", boxes_in(PIXELS, RNG, 378), yolov5, FLOAT, False),
    "yolov5 parts": ("yolov5", boxes_in(WHOLE, RNG, 378), lambda v: yolov5(v, WHOLE), FLOAT, False),
    "yolov5 int8": ("yolov5", boxes_in(WHOLE, RNG, 378), lambda v: yolov5(v, WHOLE), INT8, False),
    "yolov8 pixels": ("yolov8", boxes_in(PIXELS, RNG, 126), yolov8, FLOAT, True),
    "yolov8 parts": ("yolov8", boxes_in(WHOLE, RNG, 126), lambda v: yolov8(v, WHOLE), FLOAT, True),
    "yolov8 turned": ("yolov8", boxes_in(WHOLE, RNG, 126), lambda v: yolov8(v, WHOLE), FLOAT, False),
    "yolov8 uint8 pixels": ("yolov8", boxes_in(PIXELS, RNG, 126), yolov8, UINT8, True),
}


@pytest.mark.parametrize("threshold", [0.0, 0.2])
@pytest.mark.parametrize("case", READ)
def test_outputs_are_read_by_their_equations(case, threshold):
    name, boxes, equations, kind, columns = READ[case]
    scores = np.random.default_rng(1).uniform(0, 1, (len(boxes), CLASSES + (name != "yolov8")))
    raw = quantized(np.hstack([boxes, scores]), kind)
    settings = {**formats.FORMATS[name].settings, "iou_threshold": 1.0, "boxes": name, "input": {"resize": "stretch"}}
    made = made_detector(settings, CLASSES, {"output": ((raw.T if columns else raw)[None], kind)}, SIZE)
    found = made.detect(np.zeros((64, 96, 3), np.uint8), threshold)
    expected = [
        (score, label, *np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, (96, 64, 96, 64)))
        for (x, y), (w, h), scores in equations(dequantized(raw, kind))
        for label, score in enumerate(scores)
        if score > threshold
    ]
    expected = np.array([one for one in expected if one[4] > one[2] and one[5] > one[3]])
    expected = expected[np.argsort(-expected[:, 0], kind="stable")][: len(found["scores"])]
    assert len(found["scores"]) > 50
    np.testing.assert_allclose(found["scores"], expected[:, 0], atol=1e-5)
    ours = np.column_stack([100 * found["scores"], 100 * found["labels"], found["boxes"]])
    apart = np.abs(ours[:, None] - expected * [100, 100, 1, 1, 1, 1]).max(axis=-1).min(axis=1)
    assert np.mean(apart < 1e-2) > 0.99  # the last of equal scores may be others


def test_detections_of_tflites_own_operation():
    outputs = {
        "boxes": ([[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0.3, 0.3, 0.4, 0.4], [9, 9, 9, 9]], FLOAT),
        "classes": ([2, 0, 1, 1], FLOAT),
        "scores": ([0.3, 0.9, 0.2, 0.99], FLOAT),
        "count": (3, FLOAT),
    }
    outputs = {name: (np.array([values], np.float32), kind) for name, (values, kind) in outputs.items()}
    settings = dict(formats.FORMATS["ssd"].settings, boxes="ssd", score_threshold=0.25)
    found = made_detector(settings, 3, outputs, SIZE).detect(np.zeros((100, 200, 3), np.uint8))
    np.testing.assert_allclose(found["boxes"], [[0, 0, 200, 100], [40, 10, 120, 50]], rtol=1e-6)
    assert found["labels"].tolist() == [0, 2] and found["scores"].tolist() == pytest.approx([0.9, 0.3])


@pytest.fixture(scope="module")
def published(test_data):
    return Path(test_data, "models")


@pytest.fixture(scope="module")
def coco(test_data):
    """Photographs by their names, each with the names of its large objects; the names of COCO's classes by number."""
    truth = json.loads(Path(test_data, "data/coco_free/instances.json").read_text())
    names = {one["id"]: one["name"] for one in truth["categories"]}
    objects = {one["id"]: (one["file_name"], []) for one in truth["images"]}
    for one in truth["annotations"]:
        if one["area"] > 96**2 and not one["iscrowd"]:
            objects[one["image_id"]][1].append((names[one["category_id"]], one["bbox"]))
    images = Path(test_data, "data/coco_free/images")
    return {images / name: found for name, found in objects.values() if found}, names


def test_what_a_file_says_of_itself(published):
    ssd = look_into(published / "ssd_mobilenet_v1.tflite")
    assert [str(one) for one in ssd.inputs] == ["normalized_input_image_tensor (1, 300, 300, 3) uint8"]
    assert ssd.detections == tuple(output.number for output in ssd.outputs) and ssd.classes == 91
    nano = look_into(published / "yolox_nano_float16_quantize.tflite")
    assert [str(one) for one in (*nano.inputs, *nano.outputs)] == [
        "images (1, 3, 416, 416) float32",
        "output (1, 3549, 85) float32",
    ]


@pytest.mark.integration
@pytest.mark.parametrize(
    "name, read_as, first, least",
    [
        ("ssd_mobilenet_v1", "ssd", [], 0.5),
        ("ssd_mobilenet_v1", "ssd", ["???"], 0.5),  # as in the file of names that goes with it
        ("yolox_nano_float16_quantize", "yolox", [], 0.5),
    ],
)
def test_published_detectors_find_what_is_in_photographs(published, coco, tmp_path, name, read_as, first, least):
    photographs, names = coco
    ids = range(1, 91) if read_as == "ssd" else sorted(names)  # ten of the numbers stand for nothing
    labels = [*first, *(names.get(i, f"no {i}") for i in ids)]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    command = [sys.executable, detect.__file__, published / f"{name}.tflite", *photographs]
    done = subprocess.run(
        [*command, "--labels", tmp_path / "labels.txt"], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert f"{name}.tflite: read as --format {read_as}" in done.stderr
    found = json.loads((tmp_path / "detections/detections.json").read_text())
    hits = [
        any(one["label"] == label and overlap(one["box"], box) > 0.5 for one in record["detections"])
        for record in found
        for label, box in photographs[Path(record["file"])]
    ]
    print(f"{name}: {np.mean(hits):.0%} of {len(hits)} large objects")
    assert len(hits) > 20 and np.mean(hits) > least


def overlap(a, b):
    """The IoU of x1, y1, x2, y2 with x, y, width, height."""
    b = [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    sides = [max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return math.prod(sides) / (sum(areas) - math.prod(sides))
