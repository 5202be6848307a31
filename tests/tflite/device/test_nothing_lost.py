"""The command lines lose nothing that was found, and answer each line that they are asked, whatever is wrong."""

import base64
import functools
import http.server
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from cell_detector import drawn_image
from PIL import Image

from cspkeras.tflite.device import detect

pytestmark = pytest.mark.integration

LONG = "x" * 300 + ".jpg"


@pytest.fixture
def folder(tmp_path, model):
    """Two photographs of a red cell in a folder, and a model."""
    (tmp_path / "album").mkdir()
    for name in ("a", "z"):
        Image.fromarray(drawn_image(96, 64, (16, 32, 32, 48))).save(tmp_path / "album" / f"{name}.png")
    (tmp_path / "empty").mkdir()
    model().rename(tmp_path / "model.tflite")
    return tmp_path


def run(folder, *arguments, **options):
    command = [sys.executable, detect.__file__, "model.tflite", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, cwd=folder, **options)


def said(done):
    return done.stderr.decode().splitlines()


LINES = [  # a line of standard input, the file that is named in the answer, what its error says; None: it has none
    (b"album/a.png", "album/a.png", None),
    (b'{"file": "album/z.png"}', "album/z.png", None),
    (b'{"image": 5}', "image", "needs a path, "),
    (b'{"image": 5, "id": "seven"}', "seven", "needs a path, "),
    (b'{"image": "%", "id": 7}', "7", "(Only base64 data is allowed)"),
    (b'{"image": "AAAA", "id": 8}', "8", "cannot identify it"),
    (b'{"file": 3}', "3", "needs a path, "),
    (b'{"file": ""}', "", "needs a path, "),
    (b'{"file": null}', "None", "needs a path, "),
    (b'{"file": "a\\u0000b"}', "a\0b", "embedded null byte"),
    (b'{"x": 1}', '{"x": 1}', "needs a path, "),
    (b'{"half', '{"half', "(Unterminated string"),
    (b'{"deep": ' + b"[" * 99999, '{"deep": ' + "[" * 51, "needs a path, "),
    (b"", "", "needs a path, "),
    (b"  ", "", "needs a path, "),
    (b"missing.png", "missing.png", "No such file or directory"),
    (b"\xff\xfe.png", "\udcff\udcfe.png", "No such file or directory"),
    (LONG.encode(), LONG, "File name too long"),
    (b"album", "album", "it is not a file"),
    (b"album/a.png", "album/a.png", None),  # a second time
]


def test_every_line_gets_a_line(folder):
    done = run(folder, "-", input=b"\n".join(line for line, *_ in LINES))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [answer["file"] for answer in answers] == [name for _, name, _ in LINES]
    for answer, (line, _, error) in zip(answers, LINES, strict=True):
        assert ("detections" in answer) == (error is None), line
        assert error is None or error in answer["error"]
    assert not (folder / "detections").exists()


def test_lines_are_answered_one_by_one(folder):
    command = [sys.executable, detect.__file__, "model.tflite", "-"]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with subprocess.Popen(command, cwd=folder, **pipes) as process:
        for line, name, error in LINES[:3]:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())  # before the next line is written
            assert answer["file"] == name and ("error" in answer) == bool(error)
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize("lines", [b"", b"\n", b'{"image": 5}', b"missing.png\n"])
def test_without_a_good_line_there_is_an_answer_still(folder, lines):
    done = run(folder, "-", input=lines)
    assert done.returncode == 1 and said(done)[-1] == "detect.py: no image could be read"
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == bool(lines) and all("error" in answer for answer in answers)


@pytest.mark.parametrize(
    "bad, reason",
    [
        ("loop.png", "Too many levels of symbolic links"),
        (LONG, "File name too long"),
        (f"{LONG}/*.png", "File name too long"),
        ("empty", "a folder without images"),
        ("missing.mp4", "No such file or directory"),
        ("97", "no such camera"),
        ("http://127.0.0.1:9/film.avi", "OpenCV can't read this stream"),
        ("RTSP://127.0.0.1:9/camera", "OpenCV can't read this stream"),
    ],
)
def test_what_is_broken_in_the_middle_is_skipped(folder, bad, reason):
    (folder / "loop.png").symlink_to("round.png")
    (folder / "round.png").symlink_to("loop.png")
    done = run(folder, "album/a.png", bad, "album/z.png")
    assert done.returncode == 0, done.stderr
    assert f"{bad}: skipped: {reason}" in said(done)
    found = json.loads((folder / "detections/detections.json").read_text())
    assert [record["file"] for record in found] == ["album/a.png", "album/z.png"]
    assert b"images: 2, skipped: 1, " in done.stdout


def test_a_loop_of_links_in_a_folder_is_skipped(folder):
    for name, other in (("m", "n"), ("n", "m")):
        (folder / "album" / f"{name}.png").symlink_to(f"{other}.png")
    done = run(folder, "album")
    assert done.returncode == 0 and b"images: 2, skipped: 2, " in done.stdout
    assert sorted(path.name for path in (folder / "detections").iterdir()) == ["a.png", "detections.json", "z.png"]


def test_what_was_found_before_an_error_is_written(folder):
    """An image that lies in the output folder ends the run."""
    done = run(folder, "album/a.png", "out/z.png", "--json", "found.json", "--output", "out")
    assert done.returncode == 0  # it is missing
    Image.new("RGB", (96, 64)).save(folder / "out/z.png")
    done = run(folder, "album/z.png", "out/z.png", "--json", "found.json", "--output", "out")
    assert done.returncode == 1 and "out/z.png: lies in the output folder" in said(done)[-1]
    assert [record["file"] for record in json.loads((folder / "found.json").read_text())] == ["album/z.png"]


def test_an_image_that_can_not_be_drawn_is_found_all_the_same(folder):
    """Under a limit to the size of files, as on a full disk."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(folder / "album/noise.png")
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (50_000, 50_000))
    done = run(folder, "album", preexec_fn=limit)
    assert done.returncode == 0 and "album/noise.png: not drawn: File too large" in said(done), done.stderr
    names = {"a.png", "z.png", "detections.json"}
    assert {path.name for path in (folder / "detections").iterdir()} == names
    assert len(json.loads((folder / "detections/detections.json").read_text())) == 3


@pytest.mark.parametrize(
    "json_file, message",
    [
        ("album", "album: Is a directory"),
        ("model.tflite/found.json", "model.tflite: File exists"),
        ("model.tflite/new/found.json", "model.tflite/new: Not a directory"),
        (LONG.replace(".jpg", ".json"), f"{LONG.replace('.jpg', '.json')}: File name too long"),
        ("/proc/found.json", "/proc/found.json: No such file or directory"),
    ],
)
def test_a_list_that_can_not_be_written_is_told_before_the_work(folder, json_file, message):
    done = run(folder, "album", "--json", json_file)
    assert done.returncode == 1 and not done.stdout
    assert said(done)[-1].endswith(message) and "Traceback" not in done.stderr.decode()


def test_a_film_on_a_server_is_a_stream(folder):
    cv2 = pytest.importorskip("cv2")
    writer = cv2.VideoWriter(str(folder / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (96, 64))
    for _ in range(3):
        writer.write(drawn_image(96, 64, (16, 32, 32, 48))[..., ::-1].copy())
    writer.release()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/film.avi?quality=high"
        done = run(folder, address)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "detections/detections.json").read_text())
    assert [(one["file"], one["frame"], one["detections"][0]["label"]) for one in found] == [
        (address, i, "red") for i in range(3)
    ]


def test_a_file_of_names_from_another_system(folder):
    (folder / "names.txt").write_bytes("\ufeffrot\r\ngrün\r\nblau\r\n\r\n".encode())
    assert b"album/a.png: 1 object (rot " in run(folder, "album/a.png", "--labels", "names.txt").stdout
    (folder / "names.txt").write_bytes("grün\nrot\nblau".encode("cp1252"))
    done = run(folder, "album/a.png", "--labels", "names.txt", env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert "album/a.png: 1 object (grün " in done.stdout.decode()
    assert "names.txt: not UTF-8, read as cp1252" in said(done)


def test_both_an_image_and_its_name(folder):
    encoded = base64.b64encode(Path(folder, "album/a.png").read_bytes()).decode()
    done = run(folder, "-", input=json.dumps({"image": encoded, "id": "mine"}).encode())
    assert json.loads(done.stdout)["file"] == "mine"
