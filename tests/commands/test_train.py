"""`cspkeras train`: which network it begins with, and what is refused."""

import csv
import functools

import keras
import numpy as np
import pytest
from small_data import COLORS
from small_networks import shallow_detector

from cspkeras.backbones import peleenet
from cspkeras.commands.main import main
from cspkeras.registry import NETWORKS
from cspkeras.training import ClassificationData, LabelledImage, Recipe, load_recipe
from cspkeras.training.run import tasks, trainer


@pytest.fixture
def replace_build(monkeypatch):
    """A function that replaces the constructors of all networks; the new one gets the network's name first."""

    def replace(build):
        for name, network in NETWORKS.items():
            replacement = functools.wraps(network.build)(functools.partial(build, name))  # its signature
            monkeypatch.setitem(NETWORKS, name, network._replace(build=replacement))

    return replace


@pytest.mark.integration
def test_a_size_against_the_weights(models, one_error, make_voc):
    path = models / "detector.keras"
    line = one_error("train", "--weights", path, "--size", "96", "--data", make_voc())
    assert line == f"cspkeras: --size 96x96: {path} takes 64x64; leave --size out"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "yolov4"),
            "--model must be a network's name, such as YOLOv4, YOLOv4P6, YOLOv4P5. Received: --model='yolov4'",
        ),
        (("--weights", "{models}/text.txt"), "weights must be None or a .keras, .weights.h5 or Darknet .weights file"),
        (("--weights", "nowhere/x.weights"), "nowhere/x.weights: missing; expected a .keras, .weights.h5 or Darknet"),
        (
            ("--model", "YOLOXNano", "--weights", "nowhere/x.onnx"),
            "nowhere/x.onnx: missing; expected a .onnx or .pth file",
        ),
        (
            ("--model", "YOLOv4Tiny", "--weights", "{models}/detector.keras"),
            "--model YOLOv4Tiny: {models}/detector.keras is a whole detector; leave --model out",
        ),
        (
            ("--model", "YOLOXNano", "--weights", "{models}/some.weights"),
            "{models}/some.weights: a Darknet file holds heads of one convolution per level. "
            "Received: yoloxnano with other heads",
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
def test_what_train_builds(arguments, build, anchors, replace_build, monkeypatch, capsys, make_voc, tmp_path):
    built = []
    replace_build(lambda name, **options: built.append((name, options)))
    monkeypatch.setattr(trainer, "fit", lambda *_, **__: None)
    assert main(["train", "--data", str(make_voc(train=16)), "--run", str(tmp_path), *arguments]) == 0
    ((name, options),) = built
    assert (name, options["classes"], options["input_shape"]) == (build, tuple(COLORS), (416, 416, 3))
    assert len(options["anchors"]) == anchors if anchors else "anchors" not in options
    expected = {"weights": "x.conv.29", "skip_mismatch": True} if "--weights" in arguments else {}
    assert {key: options[key] for key in ("weights", "skip_mismatch") if key in options} == expected


def test_objects_too_few_for_anchors_leave_the_networks_own(replace_build, monkeypatch, make_voc, tmp_path):
    built = []
    replace_build(lambda name, **options: built.append((options["anchors"], options["input_shape"])))
    monkeypatch.setattr(trainer, "fit", lambda *_, **__: None)
    arguments = ["train", "--data", str(make_voc(train=2)), "--run", str(tmp_path), "--model", "YOLOv4P6"]
    sizes = (), ("--size", "448"), ("--size", "448", "640")
    assert [main([*arguments, *size]) for size in sizes] == [0, 0, 0]
    inputs = (1280, 1280, 3), (448, 448, 3), (448, 640, 3)  # 416 is not a multiple of its stride
    assert built == [(None, shape) for shape in inputs]


@pytest.fixture
def quick_fit(replace_build, monkeypatch):
    """`train` with a small detector that is not trained, up to the first file."""
    replace_build(lambda _, classes, **options: shallow_detector(classes=classes))
    monkeypatch.setattr(tasks, "batches", lambda *_, **__: pytest.fail("the folder is checked first"))


def test_a_file_in_the_place_of_the_run(quick_fit, capsys, make_voc, tmp_path):
    (tmp_path / "run").write_text("in the way")
    assert main(["train", "--data", str(make_voc(train=16)), "--run", str(tmp_path / "run")]) == 1
    expected = f"cspkeras: {tmp_path}/run: is not a folder, expected one to write recipe.json into"
    assert capsys.readouterr().err.splitlines()[-1] == expected


def test_resuming_nothing(quick_fit, capsys, make_voc, tmp_path):
    assert main(["train", "--data", str(make_voc()), "--run", str(tmp_path / "run"), "--resume"]) == 1
    expected = f"cspkeras: {tmp_path}/run/last.npz: missing; there is no run to resume"
    assert capsys.readouterr().err.splitlines()[-1] == expected


CATS = ("cat", "dog")


@pytest.fixture
def fitted(replace_build, monkeypatch):
    """`train` up to `fit`: a function of arguments to the recipe and the model."""
    calls = []
    replace_build(lambda name, **options: (name, options))
    monkeypatch.setattr(trainer, "fit", lambda model, train, val, folder, recipe, **_: calls.append((recipe, model)))

    def run(*arguments):
        assert main(["train", *map(str, arguments)]) == 0
        return calls[-1]

    return run


def test_a_recipe_changed_by_settings_and_then_by_flags(fitted, make_voc, tmp_path):
    command = ("--data", make_voc(train=16), "--run", tmp_path / "run")
    assert fitted(*command)[0] == Recipe()
    assert fitted(*command, "--recipe", "finetune")[0] == load_recipe("finetune")
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 7\nbatch_size = 4\nlearning_rate = 0.1\n[augment]\ncrop = 0.25\nflip = 0.0\n")
    settings = ("--set", "batch_size=2", "--set", "augment.mosaic=0.125", "--set", "optimizer=sgd", "--set", "seed=4")
    recipe, _ = fitted(*command, "--recipe", path, *settings, "--learning-rate", "0.5", "--flip", "1", "--seed", "5")
    augment = {"crop": 0.25, "flip": 1.0, "mosaic": 0.125}
    assert recipe == Recipe(epochs=7, batch_size=2, learning_rate=0.5, optimizer="sgd", seed=5, augment=augment)
    assert fitted(*command, "--batch-size", "auto")[0].batch_size == "auto"
    assert fitted(*command, "--set", "model.activation=mish")[1][1]["activation"] == "mish"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "epoch=3"), "--set: unknown key epoch, did you mean epochs?"),
        (("--set", "epochs=many"), "--set: epochs must be a whole number. Received: epochs='many'"),
        (("--set", "epochs"), "--set epochs: expected key=value"),
        (("--set", "augment.mosiac=1"), "unknown key augment.mosiac, did you mean augment.mosaic?"),
        (("--set", "model.activatoin=mish"), "unknown key model.activatoin, did you mean model.activation?"),
        (
            ("--recipe", "quantisation"),
            "recipe must be a .toml file or one of the package's, such as quantization. Received: quantisation",
        ),
        (("--recipe", "nowhere.toml"), "nowhere.toml: missing; expected a recipe"),
        (("--overwrite", "--resume"), "--resume and --overwrite: a run is resumed or replaced, not both"),
    ],
)
def test_wrong_recipes_are_reported_before_the_data_is_read(arguments, message, one_error, monkeypatch, tmp_path):
    monkeypatch.setattr("cspkeras.training.data.reading.read", lambda *_: pytest.fail("the data is read"))
    assert one_error("train", "--data", tmp_path, "--run", tmp_path / "run", *arguments) == f"cspkeras: {message}"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", (("train",), ("quantize", "--model", "missing.keras")))
def test_the_folder_is_checked_first(command, one_error, tmp_path):
    (tmp_path / "last.npz").touch()
    line = one_error(*command, "--data", "nowhere", "--run", tmp_path)
    assert line == f"cspkeras: {tmp_path}: holds a run already; --resume continues it, --overwrite replaces it"
    line = one_error(*command, "--data", "nowhere", "--run", tmp_path / "x", "--resume")
    assert line == f"cspkeras: {tmp_path}/x/last.npz: missing; there is no run to resume"


@pytest.mark.integration
def test_a_classifier(capsys, replace_build, monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    images = [LabelledImage(rng.integers(256, size=(40, 40, 3), dtype="uint8"), i % 2) for i in range(4)]
    monkeypatch.setattr("cspkeras.commands.train.read_splits", lambda *_: [ClassificationData(images, CATS)] * 2)
    spec = peleenet.PeleeSpec(blocks=(1, 1, 1, 1), cross_stage=True, stem=8, growth_rate=8, bottleneck=(8, 8, 8, 8))
    replace_build(lambda _, **options: peleenet.build(spec, **options))
    command = ["train", "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--model", "CSPPeleeNet"]
    assert main([*command, "--size", "32", "--epochs", "1", "--batch-size", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"best model: {tmp_path}/run/best.keras"
    with open(tmp_path / "run/results.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {"val_top1", "val_top5", "val_loss"} < set(row)
    model = keras.models.load_model(tmp_path / "run/best.keras")
    assert model.input_shape == (None, 32, 32, 3) and model.output_shape == (None, 2)


def test_a_detector_on_images_sorted_by_class(capsys, monkeypatch, tmp_path):
    images = [LabelledImage(np.zeros((9, 9, 3), "uint8"), i % 2) for i in range(4)]
    monkeypatch.setattr("cspkeras.commands.train.read_splits", lambda *_: [ClassificationData(images, CATS)] * 2)
    assert main(["train", "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--size", "32"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "cspkeras: CSPPeleeNetEFM is a detector, and the data has images sorted by class"
