"""Classifiers that others converted, of every shape, which the device runs, or says in one line why it does not."""

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_files import converted

from cspkeras.tflite.device import classify
from cspkeras.tflite.device.contents import look_into
from cspkeras.tflite.export import mediapipe
from cspkeras.tflite.export.flatbuffer import pack, unpack

pytestmark = pytest.mark.integration

LABELS = ["red", "green", "blue"]
COLOUR = np.array([200, 100, 50])
GREY = round(float(COLOUR @ (0.299, 0.587, 0.114)))
IMAGE = np.broadcast_to(COLOUR.astype(np.uint8), (20, 30, 3))


def means(axes):
    """A function to the means of an image over its sides: the network's input of an image of one colour."""
    import tensorflow as tf

    return lambda image: tf.reduce_mean(image, axes)


def deeper(image):
    import tensorflow as tf

    return tf.reduce_mean(image, (1, 2), keepdims=True)


def grey(image):
    import tensorflow as tf

    mean = tf.reduce_mean(image, (1, 2))
    return tf.concat([mean, 2 * mean, 3 * mean], axis=1)


def ended(name):
    import tensorflow as tf

    return lambda image: getattr(tf.nn, name)(4 * tf.reduce_mean(image, (1, 2)))


def named(content, tmp_path, name="model.tflite"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


UNIT = COLOUR / 255
NORMALIZED = (COLOUR - [120, 110, 100]) * [0.01, 0.02, 0.03]
CASES = {  # the network's function, its input's shape, how it is loaded, the scores
    "as usual": (means((1, 2)), (1, 8, 8, 3), {}, UNIT),
    "batch": (means((1, 2)), (4, 8, 8, 3), {}, UNIT),
    "open batch": (means((1, 2)), (None, 8, 8, 3), {}, UNIT),
    "open size": (means((1, 2)), (None, None, None, 3), {"size": (6, 9)}, UNIT),
    "channels first": (means((2, 3)), (1, 3, 8, 12), {}, UNIT),
    "deeper scores": (deeper, (1, 8, 8, 3), {}, UNIT),
    "grey": (grey, (1, 8, 8, 1), {}, GREY / 255 * np.array([1, 2, 3])),
    "grey, channels first": (grey, (1, 1, 8, 12), {}, None),
    "range": (means((1, 2)), (1, 8, 8, 3), {"mean": 127.5, "scale": 1 / 127.5}, COLOUR / 127.5 - 1),
    "range of each colour": (
        means((1, 2)),
        (1, 8, 8, 3),
        {"mean": [120, 110, 100], "scale": [0.01, 0.02, 0.03]},
        NORMALIZED,
    ),
    "softmax by its graph": (ended("softmax"), (1, 8, 8, 3), {}, np.exp(4 * UNIT) / np.exp(4 * UNIT).sum()),
    "sigmoid by its graph": (ended("sigmoid"), (1, 8, 8, 3), {}, 1 / (1 + np.exp(-4 * UNIT))),
    "logits": (means((1, 2)), (1, 8, 8, 3), {"scores": "logits"}, np.exp(UNIT) / np.exp(UNIT).sum()),
}


@pytest.mark.parametrize("case", CASES)
def test_others_files_run(case, tmp_path):
    function, shape, options, expected = CASES[case]
    if case == "grey, channels first":
        function, expected = lambda image: grey(image[:, 0, :, :, None]), CASES["grey"][3]
    found = classify.Classifier(named(converted(function, shape), tmp_path), labels=LABELS, **options)
    np.testing.assert_allclose(found.scores(IMAGE), expected, atol=1e-5)
    assert found.settings["scores"] == (
        "softmax" if "softmax" in case else "sigmoid" if "sigmoid" in case else options.get("scores")
    )


@pytest.mark.parametrize("io", ["int8", "uint8"])
@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1), (0, 255)])
def test_integer_inputs_take_pixels_by_their_range(io, low, high, tmp_path):
    """Of a file without settings a step of the pixel is a step of the input, whatever range it was calibrated on."""
    samples = [np.full((1, 8, 8, 3), value, np.float32) for value in (low, high)]
    content = converted(means((1, 2)), (1, 8, 8, 3), samples=samples, io=io)
    found = classify.Classifier(named(content, tmp_path), labels=LABELS)
    expected = low + (high - low) * COLOUR / 255
    np.testing.assert_allclose(found.scores(IMAGE), expected, atol=(high - low) / 100)
    values = found.prepare(IMAGE)[0]
    np.testing.assert_array_equal(values[0, 0, 0], COLOUR if io == "uint8" else COLOUR - 128)
    told = classify.Classifier(named(content, tmp_path), labels=LABELS, mean=0, scale=1 / 255)
    np.testing.assert_allclose(told.scores(IMAGE), np.clip(COLOUR / 255, low, high), atol=(high - low) / 100)


def described(content, labels, mean, std, names="names.txt"):
    """A file's bytes with TFLite's own metadata, its labels in the archive after the network, without our settings."""
    about = dict(
        task="classification",
        model="other",
        score_threshold=0.0,
        input=dict(height=8, width=8, mean=mean, scale=[1 / value for value in std]),
    )
    model = unpack(content)
    mediapipe.embed(model, about, LABELS)
    file = io.BytesIO(pack(model))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", labels)
    return file.getvalue()


def test_tflites_own_metadata_are_read(tmp_path):
    content = described(
        converted(ended("softmax"), (1, 8, 8, 3)), "rot\r\ngrün\r\nblau\r\n\r\n", [10, 20, 30], [100, 50, 25]
    )
    path = named(content, tmp_path)
    found = look_into(path)
    assert found.normalization == ([10, 20, 30], [100, 50, 25])
    assert found.labels == ["rot", "grün", "blau"]
    device = classify.Classifier(path)
    logits = 4 * (COLOUR - [10, 20, 30]) / [100, 50, 25]
    np.testing.assert_allclose(device.scores(IMAGE), np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
    assert device.labels == ["rot", "grün", "blau"] and not device.notes
    told = classify.Classifier(path, mean=0, scale=1 / 255, labels=LABELS)
    np.testing.assert_allclose(told.scores(IMAGE), CASES["softmax by its graph"][3], atol=1e-5)
    assert told.labels == LABELS


def test_damaged_metadata_count_as_none(tmp_path):
    content = described(converted(ended("softmax"), (1, 8, 8, 3)), "a\nb\nc\n", [10], [100])
    rng, start = np.random.default_rng(0), content.index(b"M001") - 4
    answers = set()
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(start, start + 400, 6):
            damaged[place] = rng.integers(256)
        found = look_into(named(bytes(damaged), tmp_path))
        answers.add((found.scores, str(found.labels), str(found.normalization)))
    assert {scores for scores, *_ in answers} == {"softmax"} and len(answers) > 3


@pytest.mark.parametrize("cut", [9, 200, 900, -300])
def test_a_network_cut_off_is_named(cut, tmp_path):
    path = named(converted(means((1, 2)), (1, 8, 8, 3))[:cut], tmp_path)
    with pytest.raises(
        ValueError, match="model.tflite: (carries no cspkeras settings, and its|the TFLite runtime refu)"
    ):
        classify.Classifier(path, labels=LABELS)


def vector(values):
    return values[:, :3]


REFUSED = {  # the network's functions, its inputs' shapes, the command line's options, what is said
    "no labels": (
        {"a": means((1, 2))},
        [(1, 8, 8, 3)],
        [],
        "carries no cspkeras settings; give --labels FILE with 3 names",
    ),
    "two labels": (
        {"a": means((1, 2))},
        [(1, 8, 8, 3)],
        ["--labels", "two.txt"],
        "2 labels for 3 classes; give --labels FILE with 3 names (of 3, the first is often 'background')",
    ),
    "vector": ({"a": vector}, [(1, 20)], [], "its input (1, 20) is not an image, expected (1, height, width,"),
    "two inputs": ({"a": lambda image, other: other}, [(1, 8, 8, 3), (1, 3)], [], "takes 2 inputs ("),
    "open size": (
        {"a": means((1, 2))},
        [(None, None, None, 3)],
        ["--labels", "three.txt"],
        "has no size; give --size HEIGHT WIDTH",
    ),
    "two signatures": (
        {"a": means((1, 2)), "b": means((1, 2))},
        [(1, 8, 8, 3)],
        ["--labels", "three.txt"],
        "holds 2 networks (a, b), expected one signature",
    ),
    "map": (
        {"a": lambda image: 2 * image},
        [(1, 8, 8, 3)],
        [],
        "needs one output, a score for each class. Found: output (1, 8, 8, 3) float32",
    ),
    "two means": (
        {"a": grey},
        [(1, 8, 8, 1)],
        ["--labels", "three.txt", "--mean", "1,2,3"],
        "its input has 1 channel. Received: {'mean': [1.0, 2.0, 3.0]}",
    ),
    "NaN": (
        {"a": lambda image: (0 * vector(image[:, 0, 0])) / (0 * vector(image[:, 0, 0]))},
        [(1, 8, 8, 3)],
        ["--labels", "three.txt"],
        "the network's scores are NaN",
    ),
    "blank": ({"a": means((1, 2))}, [(1, 8, 8, 3)], ["--labels", "blank.txt"], "blank.txt: line 2 is blank"),
}


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "photo.png")
    for name, text in {"two": "a\nb", "three": "a\nb\nc\n", "blank": "a\n\nb\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, classify.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)


@pytest.mark.parametrize("case", REFUSED)
def test_why_a_file_does_not_run_is_said_in_one_line(case, folder):
    functions, shapes, options, message = REFUSED[case]
    named(converted(functions, *shapes), folder)
    done = run(folder, "model.tflite", "photo.png", *options)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr and not done.stdout
    assert last.startswith(f"classify.py: {'blank.txt' if case == 'blank' else 'model.tflite'}: ") and message in last


@pytest.mark.parametrize(
    "options, line, notes",
    [
        ([], "green 0.39, blue 0.20, red 0.00", ["in which range", "does not say what its scores are"]),
        (["--scores", "logits"], "green 0.40, blue 0.33, red 0.27", ["in which range"]),
        (["--scores", "logits", "--top", "1"], "green 0.40", ["in which range"]),
        (["--scores", "sigmoid"], "none", ["in which range"]),
        (["--scores", "sigmoid", "--threshold", "0.1"], "green 0.39, blue 0.20", ["in which range"]),
        (["--scores", "softmax", "--threshold", "0.3", "--scale", "1/255"], "green 0.39", []),
        (["--scores", "sigmoid", "--mean=-155,0,0"], "red 0.61", []),
    ],
)
def test_the_command_line_says_what_scores_and_pixels_are(options, line, notes, folder):
    named(converted(means((1, 2)), (1, 8, 8, 3)), folder)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    Image.new("RGB", (9, 9), (0, 100, 51)).save(folder / "photo.png")
    done = run(folder, "model.tflite", "photo.png", "--labels", "labels.txt", *options)
    assert done.stdout.startswith(f"photo.png: {line}, "), done.stdout
    said = [text for text in done.stderr.splitlines() if text.startswith("model.tflite: ")]
    assert len(said) == len(notes) and all(note in text for note, text in zip(notes, said, strict=True))


@pytest.mark.parametrize("text", ["", "1,2", "a", "1/0", "1/2/3", "nan", "1,2,inf"])
def test_a_mean_that_is_none_is_a_usage_error(folder, text):
    done = run(folder, "model.tflite", "photo.png", f"--mean={text}")
    assert done.returncode == 2 and re.search("--mean: needs a number or three, such as 127.5", done.stderr)


@pytest.mark.parametrize(
    "name, answer",
    [
        ("batch4", "/photo.png: [a-e] "),
        ("dynamic", "its input (-1, -1, -1, 3) has no size; give --size HEIGHT WIDTH"),
        ("fails_at_invoke", "the TFLite runtime can't run it: "),
        ("gray", "/photo.png: [a-e] "),
        ("mnv2_float", "/photo.png: [a-e] "),
        ("nchw", "the network's scores are NaN"),
        ("out1115", "/photo.png: [a-e] "),
        ("two_inputs", "takes 2 inputs (keras_tensor_176 (-1, 3), keras_tensor_172 (-1, 64, 64, 3)), expected one"),
        ("two_signatures", "holds 2 networks (a, b), expected one signature"),
        ("vector", "its input (-1, 20) is not an image"),
    ],
)
def test_files_that_people_sent(name, answer, test_data, folder):
    files = Path(test_data, "cases/models/16_tflite_files")
    done = run(folder, files / f"{name}.tflite", folder / "photo.png", "--labels", files / "labels5.txt")
    if answer.startswith("/"):
        assert done.returncode == 0 and re.search(answer, done.stdout.splitlines()[0]), done.stderr
    else:
        last = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and f"{name}.tflite: {answer}" in last and "Traceback" not in done.stderr
