"""detect.py on the command line."""

import base64
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
from cell_detector import GREEN, LABELS, drawn_image, networks, settings
from PIL import Image

from cspkeras.tflite.device import detect, drawing
from cspkeras.tflite.export import metadata

pytestmark = pytest.mark.integration

SCRIPT = Path(detect.__file__).resolve()


def run(*arguments, cwd=None):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, cwd=cwd)


@pytest.fixture
def album(tmp_path):
    """Folders with an image of the same name each, one broken, and a file that is not an image."""
    for name, box in (("a", (16, 32, 32, 48)), ("b", (0, 0, 16, 16))):
        (tmp_path / name).mkdir()
        Image.fromarray(drawn_image(96, 64, box)).save(tmp_path / name / "photo.jpg", quality=95)
    Image.fromarray(drawn_image(96, 64)).save(tmp_path / "a" / "photo.png")
    Image.fromarray(drawn_image(192, 128, (64, 32, 96, 64), GREEN)).save(tmp_path / "b" / "scan[1].bmp")
    whole = (tmp_path / "a" / "photo.jpg").read_bytes()
    (tmp_path / "b" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b" / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.integration
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
    assert re.fullmatch(r"a/photo.jpg: 1 object \(red 0\.\d\d\), \d+\.\d ms per frame", lines[0])
    assert re.fullmatch(r"a/photo.png: 0 objects, \d+\.\d ms per frame", lines[1])
    assert re.fullmatch(r"images: 4, skipped: 2, median \d+\.\d ms per frame", lines[-1])
    with Image.open(album / "out" / "new" / "scan[1].png") as drawn:
        assert drawn.getpixel((64, 48)) == drawing.class_color(1)


@pytest.mark.integration
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{missing}", "a"], "missing.tflite: No such file or directory"),
        (["{broken}", "a"], "broken.tflite: not a .tflite file"),
        (["{bare}", "a"], "carries no cspkeras settings; give --labels FILE with 3 names, or export it"),
        (["{damaged}", "a"], "the TFLite runtime refuses it"),
        (["{labels}", "a"], "2 labels for 3 classes; give --labels FILE with 3 names"),
        (["{stranger}", "a"], "its settings say boxes: xyxy; accepted here: ['cyxhw', 'raw']"),
        (["{raw}", "a"], "raw.tflite: its settings say boxes: raw, and lack decode"),
        (["{decode}", "a"], "decode.tflite: its setting decode is damaged: TypeError: "),
        (["{levels}", "a"], "levels.tflite: its outputs have 48 boxes, by its settings they have 6"),
        (["{mean}", "a"], "mean.tflite: its settings say input.mean: 'x'; accepted here: one number or three"),
        (["{model}", "a", "--format", "yolox"], "its settings say boxes: cyxhw; leave out --format yolox"),
        (["{model}", "a", "--output", "b/notes.txt"], "b/notes.txt: File exists"),
        (["{model}", "a", "--output", "b/notes.txt/new"], "b/notes.txt/new: Not a directory"),
        (["{model}", "a", "--output", "a"], "a/photo.jpg: lies in the output folder; name another"),
        (["{model}", "a", "--score", "25"], "thresholds go from 0 to 1. Received: 25.0, 0.5"),
        (["{model}", "a", "--iou", "nan"], "thresholds go from 0 to 1. Received: 0.5, nan"),
        (["{model}", "a", "--threads", "-7"], "num_threads"),
        (["{model}", "missing.jpg", "b/broken.jpg", "x*.png"], "no image could be read"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(model, album, arguments, message):
    files = {name: album / f"{name}.tflite" for name in ("missing", "broken", "bare", "damaged")}
    files["broken"].write_bytes(b"no model at all")
    files["bare"].write_bytes(networks()["float32"])
    files["damaged"].write_bytes(metadata.attach(b"\x1c\0\0\0TFL3" + bytes(99), settings(), LABELS))
    files["model"], files["labels"] = model(), model(labels=LABELS[:2])
    files["stranger"] = model(boxes="xyxy")
    level = dict(stride=32, scale_xy=1, anchors=[[32, 32]])
    changes = dict(
        raw={},
        decode=dict(decode=dict(coding="free", levels=3)),
        levels=dict(decode=dict(coding="free", levels=[level])),
    )
    for name, change in changes.items():
        files[name] = model(boxes="raw", **change).rename(album / f"{name}.tflite")
    files["mean"] = model(mean="x").rename(album / "mean.tflite")
    done = run(*(argument.format(**files) for argument in arguments), cwd=album)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("detect.py: ") and message in done.stderr.splitlines()[-1]
    assert not list(album.rglob("*.part")) and not list(album.rglob("detections.json"))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "count", "last"),
    [
        ([], 2, 0.78),  # the smaller box within each of a yellow cell's two
        (["--nms", "diou"], 2, 0.78),
        (["--nms", "soft", "--score", "0.2"], 4, 0.9 * 0.78 * np.exp(-2 * (144 / 256) ** 2)),
        (["--iou", "0.6"], 4, 0.9 * 0.78),  # the two overlap by 0.5625
        (["--class-agnostic"], 1, 1.0),
    ],
    ids=str,
)
def test_the_command_line_chooses_the_suppression(model, album, options, count, last):
    Image.fromarray(drawn_image(96, 64, (16, 32, 32, 48), (255, 200, 0))).save(album / "yellow.png")
    done = run(model(), "yellow.png", *options, cwd=album)
    assert done.returncode == 0, done.stderr
    (record,) = json.loads((album / "detections" / "detections.json").read_text())
    scores = [found["score"] for found in record["detections"]]
    assert len(scores) == count and scores[-1] == pytest.approx(last, abs=0.01)


def test_an_unknown_suppression_is_a_usage_error(album):
    done = run("none.tflite", "a", "--nms", "fast", cwd=album)
    assert done.returncode == 2 and "invalid choice: 'fast' (choose from" in done.stderr


def test_ctrl_c_ends_it_in_one_line(model, album):
    os.mkfifo(album / "endless.png")  # the script waits here for ever
    command = [sys.executable, str(SCRIPT), str(model()), "a/photo.jpg", "endless.png"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Where the tests run in the background of a shell, SIGINT is ignored, and children inherit that.
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=album, **options) as process:
        assert process.stdout.readline().startswith("a/photo.jpg: ")
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "detect.py: interrupted" and "Traceback" not in errors


def test_it_runs_alone_in_a_folder_of_its_own(model, album):
    shutil.copytree(SCRIPT.parent, album / "phone")
    command = [sys.executable, "phone/detect.py", str(model("int8")), "a/photo.jpg"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(command, cwd=album, check=True, timeout=60, env=environment, capture_output=True)
    written = sorted(path.name for path in (album / "detections").iterdir())
    assert written == ["detections.json", "photo.jpg"]


def film(path, frames=6):
    cv2 = pytest.importorskip("cv2")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (96, 64))
    for i in range(frames):
        writer.write(drawn_image(96, 64, (16 * i, 32, 16 * i + 16, 48))[..., ::-1].copy())
    writer.release()
    return path


def test_a_video_gives_a_record_a_frame_and_says_where_it_ends_early(model, tmp_path):
    whole = film(tmp_path / "film.avi").read_bytes()
    done = run(model(), "film.avi", "--draw-frames", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "detections" / "detections.json").read_text())
    assert [(record["file"], record["frame"]) for record in records] == [("film.avi", i) for i in range(6)]
    for i, record in enumerate(records):
        np.testing.assert_allclose(record["detections"][0]["box"], [16 * i, 32, 16 * i + 16, 48], atol=1)
    assert len(list((tmp_path / "detections").glob("film-*.jpg"))) == 6
    said = r"^\d+\.\d frames per second, \d+% of the time inference; median ms: preprocess \d"
    assert re.search(said, done.stderr, re.M)
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    assert re.search(
        r"ends early, after \d of \d+ frames|can't read this video", run(model(), "cut.avi", cwd=tmp_path).stderr
    )


def test_a_missing_camera_is_an_error_of_one_line(model, tmp_path):
    pytest.importorskip("cv2")
    done = run(model(), "97", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.splitlines()[-2] == "97: skipped: no such camera"


def test_no_control_character_reaches_the_terminal(model, album):
    """Neither in a class's or file's name; no object's address is printed, and a name may be other than UTF-8."""
    names = ["\x1b[31mred\x07", "\u202egreen", "\x9bblue"]
    hostile = os.fsencode(album / "a") + b"/\x1b[2J\xff.png"
    shutil.copy(album / "a" / "photo.jpg", hostile)
    broken = json.dumps({"image": base64.b64encode(b"no image").decode(), "id": "\x1b[2J"})
    command = [sys.executable, str(SCRIPT), str(model(labels=names))]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    options = dict(capture_output=True, timeout=60, cwd=album, env=environment)
    done = subprocess.run([*command, hostile, "--json", "found.json"], **options)
    assert done.returncode == 0, done.stderr
    line = done.stdout.decode().splitlines()[0]
    assert line.startswith(rf"{album}/a/\x1b[2J\udcff.png: 1 object (\x1b[31mred\x07 ")
    assert json.loads((album / "found.json").read_text())[0]["detections"][0]["label"] == names[0]
    done = subprocess.run([*command, "-"], input=broken.encode(), **options)
    skipped, failed = done.stderr.decode().splitlines()[-2:]
    assert skipped.startswith(r"\x1b[2J: skipped: cannot identify") and " at 0x" not in skipped
    assert failed == "detect.py: no image could be read"
    done = subprocess.run([*command, "a", "\x1b[2J", "--\x1b[2J"], **options)
    assert done.returncode == 2 and b"\x1b" not in done.stderr and rb"--\x1b[2J" in done.stderr


def test_lines_of_json_in_and_out(model, album):
    encoded = base64.b64encode((album / "b" / "scan[1].bmp").read_bytes()).decode()
    lines = ["a/photo.jpg", json.dumps({"file": "b/photo.jpg"}), json.dumps({"image": encoded, "id": 7}), '{"x": 1}']
    command = [sys.executable, str(SCRIPT), str(model()), "-"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=60, cwd=album)
    assert done.returncode == 0, done.stderr
    *found, failed = [json.loads(line) for line in done.stdout.splitlines()]
    assert failed["file"] == '{"x": 1}' and failed["error"].startswith("needs a path")
    assert [(f["file"], f["detections"][0]["label"]) for f in found] == [
        ("a/photo.jpg", "red"),
        ("b/photo.jpg", "red"),
        ("7", "green"),
    ]
    assert '{"x": 1}: skipped: needs a path' in done.stderr
    assert not (album / "detections").exists()


def test_a_file_without_settings_runs_with_labels_given(album):
    (album / "bare.tflite").write_bytes(networks()["float32"])
    (album / "labels.txt").write_text("\n".join(LABELS))
    done = run("bare.tflite", "a/photo.jpg", "--labels", "labels.txt", "--size", 64, 96, cwd=album)
    assert done.returncode == 0 and "1 object (red" in done.stdout, done.stderr
    done = run("bare.tflite", "a/photo.jpg", "--labels", "labels.txt", "--delegate", "missing.so", cwd=album)
    assert done.returncode == 1 and "detect.py: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
