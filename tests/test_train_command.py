"""`cspkeras train`: which detector it begins with, and what is refused."""

import pytest
from conftest import COLORS, small_detector

from cspkeras.cli import main
from cspkeras.training import trainer


def test_a_size_against_the_weights(models, one_error, make_voc):
    path = models / "detector.keras"
    line = one_error("train", "--weights", path, "--size", "96", "--data", make_voc())
    assert line == f"cspkeras: --size 96: {path} takes 64x64; leave --size out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "yolov4"),
            "--model must be a detector's name, such as YOLOv4, YOLOv3, YOLOv4Tiny. Received: --model='yolov4'",
        ),
        (("--weights", "{models}/text.txt"), "weights must be None or a .keras, .weights.h5 or Darknet .weights file"),
        (("--weights", "nowhere/x.weights"), "nowhere/x.weights: missing; expected a .keras, .weights.h5 or Darknet"),
        (("--model", "YOLOXNano", "--weights", "nowhere/x.onnx"), "nowhere/x.onnx: missing; expected a .onnx file"),
        (
            ("--model", "YOLOv4Tiny", "--weights", "{models}/detector.keras"),
            "--model YOLOv4Tiny: {models}/detector.keras is a detector of its own; leave --model out",
        ),
        (
            ("--model", "YOLOXNano", "--weights", "{models}/some.weights"),
            "{models}/some.weights: yoloxnano's heads are not YOLO's one convolution a level",
        ),
    ],
    ids=["unknown model", "other kind", "no darknet file", "no onnx file", "model and detector", "darknet for YOLOX"],
)
def test_models_and_weights_that_cannot_be_trained(arguments, message, models, capsys, make_voc, tmp_path):
    (models / "some.weights").write_bytes(bytes(100))
    arguments = [part.format(models=models) for part in arguments]
    assert main(["train", "--size", "32", "--data", str(make_voc()), "--run", str(tmp_path / "run"), *arguments]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"cspkeras: {message.format(models=models)}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "build", "anchors"),
    [
        ((), "CSPPeleeNetEFM", 9),
        (("--model", "CSPPeleeNetPRN"), "CSPPeleeNetPRN", 6),
        (("--model", "YOLOXNano"), "YOLOXNano", None),
        (("--model", "YOLOv4Tiny", "--weights", "x.conv.29"), "YOLOv4Tiny", None),
    ],
)
def test_what_train_builds(arguments, build, anchors, monkeypatch, capsys, make_voc, tmp_path):
    built = []
    monkeypatch.setattr("cspkeras.detection.registry.get_detector", lambda *a, **k: built.append((a, k)))
    monkeypatch.setattr(trainer, "fit", lambda *_, **__: None)
    assert main(["train", "--data", str(make_voc(train=16)), "--run", str(tmp_path), *arguments]) == 0
    ((name,), options) = built[0]
    assert (name, options["classes"], options["input_shape"]) == (build, tuple(COLORS), (416, 416, 3))
    assert len(options["anchors"]) == anchors if anchors else "anchors" not in options
    expected = {"weights": "x.conv.29", "skip_mismatch": True} if "--weights" in arguments else {}
    assert {key: options[key] for key in ("weights", "skip_mismatch") if key in options} == expected


@pytest.fixture
def quick_fit(monkeypatch):
    """`train` with a small detector that is not trained, up to the first file."""
    built = "cspkeras.detection.registry.get_detector"
    monkeypatch.setattr(built, lambda _, classes, **options: small_detector(classes=classes))
    monkeypatch.setattr(trainer, "training_batches", lambda *_, **__: pytest.fail("the folder is looked at first"))


def test_a_file_in_the_place_of_the_run(quick_fit, capsys, make_voc, tmp_path):
    (tmp_path / "run").write_text("in the way")
    assert main(["train", "--data", str(make_voc(train=16)), "--run", str(tmp_path / "run")]) == 1
    expected = f"cspkeras: {tmp_path}/run: is no folder, expected one to write recipe.json into"
    assert capsys.readouterr().err.splitlines()[-1] == expected


def test_resuming_nothing(quick_fit, capsys, make_voc, tmp_path):
    assert main(["train", "--data", str(make_voc()), "--run", str(tmp_path / "run"), "--resume"]) == 1
    expected = f"cspkeras: {tmp_path}/run/last.npz: missing; there is no run to resume"
    assert capsys.readouterr().err.splitlines()[-1] == expected
