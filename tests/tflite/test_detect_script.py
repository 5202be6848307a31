"""The device's script, on a detector of red, green and blue that needs no training: it averages cells."""

import ast
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cspkeras.tflite import detect, metadata

HEIGHT, WIDTH, CELL = 64, 96, 16
LABELS = ["red", "green", "blue"]
RED, GREEN = (255, 0, 0), (0, 255, 0)
SCRIPT = Path(detect.__file__).resolve()


def settings(**changes):
    network_input = {"height": HEIGHT, "width": WIDTH, "colors": "RGB", "mean": 0.0, "scale": 1 / 255}
    network_input.update(resize="letterbox", fill=114)
    network_input.update({key: changes.pop(key) for key in list(changes) if key in network_input})
    thresholds = {"score_threshold": 0.5, "iou_threshold": 0.5}
    about = {"task": "detection", "model": "Cells", "precision": "float32", "boxes": "cyxhw"}
    return {**about, "input": network_input, **thresholds, **changes}


def cells():
    """A box a cell, then a smaller one within each: (48, 4) centre y, centre x, height, width in 0..1."""
    y, x = np.mgrid[CELL / 2 : HEIGHT : CELL, CELL / 2 : WIDTH : CELL].reshape(2, -1)
    boxes = [np.stack([y, x, np.full_like(y, side), np.full_like(x, side)], axis=1) for side in (16, 12)]
    return (np.concatenate(boxes) / [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(np.float32)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """The detector as the bytes of two .tflite files without settings: float32, and int8 in and out."""
    tf = pytest.importorskip("tensorflow")

    class Cells(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, HEIGHT, WIDTH, 3), tf.float32, name="image")])
        def serve(self, image):
            colors = tf.reshape(tf.nn.avg_pool2d(image, CELL, CELL, "VALID"), (1, -1, 3))
            scores = tf.concat([colors, 0.9 * colors], axis=1)
            # Always the cells; but a constant output would not be the network's.
            return {"boxes": tf.minimum(cells()[None], 2 + tf.reduce_mean(scores)), "scores": scores}

    def samples():
        for value in (0, 1):
            yield [np.full((1, HEIGHT, WIDTH, 3), value, np.float32)]

    folder = str(tmp_path_factory.mktemp("saved_model"))
    module = Cells()
    tf.saved_model.save(module, folder, signatures=module.serve)
    plain = tf.lite.TFLiteConverter.from_saved_model(folder)
    quantized = tf.lite.TFLiteConverter.from_saved_model(folder)
    quantized.optimizations = [tf.lite.Optimize.DEFAULT]
    quantized.representative_dataset = samples
    quantized.inference_input_type = quantized.inference_output_type = tf.int8
    return {"float32": plain.convert(), "int8": quantized.convert()}


@pytest.fixture(scope="module")
def model(networks, tmp_path_factory):
    """Makes the .tflite file of a precision with changed settings: its path."""

    def write(precision="float32", labels=LABELS, **changes):
        path = tmp_path_factory.mktemp("model") / "cells.tflite"
        path.write_bytes(metadata.attach(networks[precision], settings(**changes), labels))
        return path

    return write


def picture(width, height, box=(0, 0, 0, 0), color=RED):
    """A black picture with a rectangle: uint8 (height, width, 3)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = color
    return image


PLACEMENTS = [  # (height, width) of the picture, of the input, resize -> left, top, width, height
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
]


@pytest.mark.parametrize("image_size, input_size, resize, expected", PLACEMENTS)
def test_placement_and_boxes_mapped_back(image_size, input_size, resize, expected):
    left, top, width, height = detect.placement(image_size, input_size, resize)
    assert (left, top, width, height) == expected
    canvas = detect.fit(np.full((*image_size, 3), 200, np.uint8), input_size, resize, fill=114)
    assert canvas.shape == (*input_size, 3) and canvas.dtype == np.uint8
    inside = np.zeros(input_size, bool)
    inside[top : top + height, left : left + width] = True
    assert (canvas[inside] == 200).all() and (canvas[~inside] == 114).all()
    # A picture's own boxes, sent to the input by hand, come back.
    fractions = np.float32([[0, 0, 1, 1], [0.25, 0.1, 0.5, 0.7], [0.99, 0.5, 1, 0.51]])
    sent = fractions * ([width, height] * 2) + [left, top] * 2
    back = detect.to_picture(np.float32(sent / ([*input_size[::-1]] * 2)), image_size, input_size, resize)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, fractions * ([*image_size[::-1]] * 2), atol=1e-4 * max(image_size))


def test_boxes_are_clipped_to_the_picture():
    boxes = np.float32([[-0.5, -0.5, 1.5, 1.5], [0, 0, 0.2, 1]])  # the second one lies in the margin
    back = detect.to_picture(boxes, (256, 128), (64, 96), "letterbox")
    np.testing.assert_array_equal(back, [[0, 0, 128, 256], [0, 0, 0, 256]])


def plain_suppression(boxes, labels, threshold):
    def iou(a, b):
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0) * max(height, 0)
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    kept = []
    for i in range(len(boxes)):
        if all(labels[i] != labels[j] or iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("count, classes", [(0, 1), (1, 1), (40, 1), (150, 3), (150, 40)])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_suppression_agrees_with_plain_loops(count, classes, threshold):
    random = np.random.default_rng(count + classes)
    corner, size = random.random((2, count, 2)) * 0.6 + 0.05
    boxes, labels = np.hstack([corner, corner + size]), random.integers(0, classes, count)
    assert detect.suppress(boxes, labels, threshold).tolist() == plain_suppression(boxes, labels, threshold)


def test_boxes_without_area_suppress_nothing():
    assert detect.suppress(np.zeros((3, 4)), np.zeros(3, int), 0.5).tolist() == [0, 1, 2]


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
    found = detector.detect(picture(*size, box, color))
    assert found["labels"].tolist() == [color.index(255)]
    assert found["boxes"].dtype == found["scores"].dtype == np.float32
    np.testing.assert_allclose(found["boxes"], [box], atol=0.02 * max(size) if precision == "int8" else 0.1)
    assert 0.85 < found["scores"][0] <= 1
    assert list(detector.times) == ["preprocess", "inference", "postprocess"]
    assert all(0 < time < 1000 for time in detector.times.values())


def test_one_box_may_have_several_classes_and_the_margin_has_none(model):
    detector = detect.Detector(model())
    found = detector.detect(picture(96, 64, (16, 32, 32, 48), (255, 200, 0)))
    assert found["labels"].tolist() == [0, 1]
    np.testing.assert_allclose(found["boxes"][0], found["boxes"][1])
    # The margin of a tall picture is grey, 114 / 255 of every colour: boxes there lie outside the picture.
    found = detector.detect(picture(128, 256), score_threshold=0.4)
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
    monkeypatch.setattr(detect, "CANDIDATES", 10)
    best = detector.detect(image, score_threshold=0, iou_threshold=1)
    for key in best:
        np.testing.assert_array_equal(best[key], everything[key][:10])


@pytest.mark.parametrize(
    "image, options, message",
    [
        (np.zeros((8, 8, 3), np.float32), {}, "needs uint8 (height, width, 3). Received: float32 (8, 8, 3)"),
        (np.zeros((8, 8), np.uint8), {}, "Received: uint8 (8, 8)"),
        (np.zeros((8, 8, 4), np.uint8), {}, "Received: uint8 (8, 8, 4)"),
        (np.zeros((0, 8, 3), np.uint8), {}, "Received: uint8 (0, 8, 3)"),
        (picture(8, 8), {"score_threshold": 25}, "thresholds go from 0 to 1. Received: 25, 0.5"),
        (picture(8, 8), {"iou_threshold": -1}, "thresholds go from 0 to 1. Received: 0.5, -1"),
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


def test_it_imports_nothing_that_a_device_lacks():
    imports = [node for node in ast.walk(ast.parse(SCRIPT.read_text())) if isinstance(node, ast.Import)]
    origins = [node for node in ast.walk(ast.parse(SCRIPT.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names} | {node.module for node in origins}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"numpy", "PIL"}


def transparent(mode):
    image = Image.new("RGBA", (9, 6), (10, 20, 30, 255))
    image.putpixel((0, 0), (10, 20, 30, 0))
    return image.convert(mode) if mode != "P" else image.quantize()


def upside_down():
    image = Image.new("RGB", (9, 6), (10, 20, 30))
    image.putpixel((8, 5), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    return image, exif


@pytest.mark.parametrize(
    "name, image, corner, rest",
    [
        ("grey.png", Image.new("L", (9, 6), 77), (77,) * 3, (77,) * 3),
        ("black_and_white.png", Image.new("1", (9, 6), 1), (255,) * 3, (255,) * 3),
        ("rgba.png", transparent("RGBA"), (255,) * 3, (10, 20, 30)),
        ("grey_alpha.png", transparent("LA"), (255,) * 3, (18,) * 3),
        ("palette.png", transparent("P"), (255,) * 3, (10, 20, 30)),
        ("cmyk.jpg", Image.new("CMYK", (9, 6), (0, 255, 255, 0)), RED, RED),
        ("16_bit.png", Image.fromarray(np.full((6, 9), 257 * 90, np.uint16)), (90,) * 3, (90,) * 3),
        ("float.tif", Image.fromarray(np.full((6, 9), 0.2, np.float32)), (51,) * 3, (51,) * 3),
        ("turned.png", upside_down(), (255,) * 3, (10, 20, 30)),
    ],
)
def test_pictures_of_every_kind_become_upright_rgb(tmp_path, name, image, corner, rest):
    image, exif = image if isinstance(image, tuple) else (image, None)
    image.save(tmp_path / name, **({"exif": exif} if exif else {}))
    loaded = detect.load_picture(tmp_path / name)
    assert (loaded.mode, loaded.size) == ("RGB", (9, 6))
    np.testing.assert_allclose(loaded.getpixel((0, 0)), corner, atol=2)
    np.testing.assert_allclose(loaded.getpixel((5, 3)), rest, atol=2)


def test_classes_have_colours_of_their_own():
    colors = np.array([detect.class_color(label) for label in range(80)], int)
    distances = np.abs(colors[:, None] - colors).sum(axis=-1) + 1000 * np.eye(80, dtype=int)
    assert distances.min() >= 5
    assert min(distances[i, i + 1] for i in range(79)) > 150  # neighbours


@pytest.mark.parametrize("size", [(120, 90), (640, 480), (4000, 1000)])
@pytest.mark.parametrize("part", [(0, 0, 1, 1), (0.5, 0.5, 0.9, 0.9), (0.9, 0, 1, 0.1)])
def test_drawing_suits_the_size_of_the_picture(size, part):
    drawn = Image.new("RGB", size, (90, 90, 90))
    box = np.float32(part) * (size * 2)
    found = {"boxes": box[None], "labels": np.array([1]), "scores": np.float32([0.5])}
    detect.draw(drawn, found, LABELS)
    color = detect.class_color(1)
    assert drawn.getpixel(tuple(int(side) - 1 for side in box[2:].round())) == color  # the last pixel within
    text = np.argwhere((np.asarray(drawn) > 225).all(axis=-1))  # white on this class's blue
    assert np.ptp(text[:, 0]) >= 0.5 * max(10, sum(size) / 80)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "list.json"
    with detect.written_aside(path) as aside:
        aside.write_text("first")
    with pytest.raises(OSError), detect.written_aside(path) as aside:
        aside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [file.name for file in path.parent.iterdir()] == ["list.json"]
    assert path.read_text() == "first"


def run(*arguments, cwd=None):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)


@pytest.fixture
def album(tmp_path):
    """Folders with a picture of the same name each, one broken, and a file that is none."""
    for name, box in (("a", (16, 32, 32, 48)), ("b", (0, 0, 16, 16))):
        (tmp_path / name).mkdir()
        Image.fromarray(picture(96, 64, box)).save(tmp_path / name / "photo.jpg", quality=95)
    Image.fromarray(picture(96, 64)).save(tmp_path / "a" / "photo.png")
    Image.fromarray(picture(192, 128, (64, 32, 96, 64), GREEN)).save(tmp_path / "b" / "scan[1].bmp")
    whole = (tmp_path / "a" / "photo.jpg").read_bytes()
    (tmp_path / "b" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    return tmp_path


def test_the_command_line_annotates_files_folders_and_patterns(model, album):
    before = {path: path.read_bytes() for path in album.glob("?/*")}
    options = ["--output", "out/new", "--json", "lists/all.json", "--threads", 2]
    arguments = ["a", "b/scan[1].bmp", "b/*.jpg", "b/missing.jpg", "a/photo.jpg"]
    done = run(model(), *arguments, *options, cwd=album)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in album.glob("?/*")} == before
    names = sorted(path.name for path in (album / "out" / "new").iterdir())
    assert names == ["b-photo.jpg", "photo.jpg", "photo.png", "scan[1].png"]
    assert "b/broken.jpg: skipped: " in done.stderr
    assert "b/missing.jpg: skipped: No such file or directory" in done.stderr
    records = json.loads((album / "lists" / "all.json").read_text())
    by_name = {record["file"]: record for record in records}
    assert list(by_name) == ["a/photo.jpg", "a/photo.png", "b/scan[1].bmp", "b/photo.jpg"]
    scan = by_name["b/scan[1].bmp"]
    assert (scan["width"], scan["height"]) == (192, 128)
    assert list(scan["time_ms"]) == ["preprocess", "inference", "postprocess"]
    (found,) = scan["detections"]
    assert found["label"] == "green" and found["score"] > 0.9
    np.testing.assert_allclose(found["box"], [64, 32, 96, 64], atol=0.1)
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"a/photo.jpg: 1 object \(red 0\.\d\d\), \d+\.\d ms a frame", lines[0])
    assert re.fullmatch(r"a/photo.png: 0 objects, \d+\.\d ms a frame", lines[1])
    assert re.fullmatch(r"pictures: 4, skipped: 2, median \d+\.\d ms a frame", lines[-1])
    with Image.open(album / "out" / "new" / "scan[1].png") as drawn:
        assert drawn.getpixel((64, 48)) == detect.class_color(1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{missing}", "a"], "missing.tflite: No such file or directory"),
        (["{broken}", "a"], "broken.tflite: not a .tflite file"),
        (["{bare}", "a"], "carries no cspkeras settings; export it with cspkeras.tflite.convert"),
        (["{damaged}", "a"], "the TFLite runtime refuses it"),
        (["{labels}", "a"], "2 labels for scores of"),
        (["{stranger}", "a"], "its settings say boxes: xyxy; known here: ['cyxhw']"),
        (["{model}", "a", "--output", "b/notes.txt"], "b/notes.txt: File exists"),
        (["{model}", "a", "--output", "b/notes.txt/new"], "b/notes.txt/new: Not a directory"),
        (["{model}", "a", "--output", "a"], "a/photo.jpg: lies in the output folder; name another"),
        (["{model}", "a", "--score", "25"], "thresholds go from 0 to 1. Received: 25.0, 0.5"),
        (["{model}", "a", "--threads", "-7"], "num_threads"),
        (["{model}", "missing.jpg", "b/broken.jpg", "x*.png"], "no picture could be read"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(model, networks, album, arguments, message):
    files = {name: album / f"{name}.tflite" for name in ("missing", "broken", "bare", "damaged")}
    files["broken"].write_bytes(b"no model at all")
    files["bare"].write_bytes(networks["float32"])
    files["damaged"].write_bytes(metadata.attach(b"\x1c\0\0\0TFL3" + bytes(99), settings(), LABELS))
    files["model"], files["labels"] = model(), model(labels=LABELS[:2])
    files["stranger"] = model(boxes="xyxy")
    done = run(*(argument.format(**files) for argument in arguments), cwd=album)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("detect.py: ") and message in done.stderr.splitlines()[-1]
    assert not list(album.rglob("*.part")) and not list(album.rglob("detections.json"))


def test_ctrl_c_ends_it_in_one_line(model, album):
    os.mkfifo(album / "endless.png")  # the script waits here for ever
    command = [sys.executable, str(SCRIPT), str(model()), "a/photo.jpg", "endless.png"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=album, **pipes) as process:
        assert process.stdout.readline().startswith("a/photo.jpg: ")
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "detect.py: interrupted" and "Traceback" not in errors


def test_it_runs_alone_in_a_folder_of_its_own(model, album):
    shutil.copy(SCRIPT, album / "script.py")
    command = [sys.executable, "script.py", str(model("int8")), "a/photo.jpg"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(command, cwd=album, check=True, timeout=60, env=environment, capture_output=True)
    written = sorted(path.name for path in (album / "detections").iterdir())
    assert written == ["detections.json", "photo.jpg"]
