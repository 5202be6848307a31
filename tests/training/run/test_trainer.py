"""Training runs: what they leave, and how they are resumed after any kind of end."""

import contextlib
import csv
import dataclasses
import io
import json
import signal
import subprocess
import sys
import time
import zipfile

import h5py
import numpy as np
import pytest
from small_data import small_voc
from small_networks import build_kind

from cspkeras.saving import load_detector, load_network
from cspkeras.training import ClassificationData, LabelledImage, Recipe, fit, quantize_aware, read_voc
from cspkeras.training.quantization.aware import QuantizedDetector

RECIPE = Recipe(epochs=2, batch_size=2, learning_rate=1e-3, warmup_epochs=1)
FILES = {"best.keras", "best.npz", "last.npz", "recipe.json", "report.html", "results.csv"}
SPEED = {"images_per_second", "data_wait"}  # what no two runs have in common


def rows(folder):
    with open(folder / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = small_voc(tmp_path_factory.mktemp("voc"), train=5)
    return read_voc(folder, "train"), read_voc(folder, "val")


@pytest.fixture(scope="module")
def run(data, make_detector, tmp_path_factory):
    """(model, folder, rows) of a run of two epochs, which no test may change."""
    model, folder = make_detector(), tmp_path_factory.mktemp("runs") / "run"
    return model, folder, fit(model, *data, folder, RECIPE)


@pytest.mark.integration
def test_what_a_run_leaves_behind(run):
    model, folder, returned = run
    assert {path.name for path in folder.iterdir()} == FILES
    recorded = rows(folder)
    assert [row["epoch"] for row in recorded] == ["1", "2"] == [str(row["epoch"]) for row in returned]
    for row, same in zip(recorded, returned, strict=True):
        assert set(row) == {"epoch", "loss", "val_mAP", "val_mAP50", "learning_rate", *SPEED}
        assert float(row["loss"]) == same["loss"] > 0 and 0 <= float(row["val_mAP"]) <= float(row["val_mAP50"]) <= 1
    assert Recipe(**json.loads((folder / "recipe.json").read_text())) == RECIPE
    best = load_detector(folder / "best.keras")
    assert best.class_names == model.class_names and best.anchors == model.anchors
    for weight, left in zip(best.weights, model.weights, strict=True):  # the model is left with the best weights
        np.testing.assert_array_equal(weight, left)
    sizes = []
    with (
        zipfile.ZipFile(folder / "best.keras") as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file,
    ):
        file.visititems(lambda _, found: sizes.append(found.size) if isinstance(found, h5py.Dataset) else None)
    assert sum(sizes) == model.count_params()  # the file has the weights alone, no optimizer


@pytest.mark.integration
def test_the_last_state_is_that_of_the_last_step(run):
    with np.load(run[1] / "last.npz") as state:
        assert json.loads(str(state["meta"]))["step"] == 4
        assert state["optimizer0"] == 4  # two epochs of the two whole batches in five images


@pytest.mark.integration
def test_a_folder_with_a_run_is_refused(run, data, make_detector):
    before = {path.name: path.stat().st_mtime_ns for path in run[1].iterdir()}
    with pytest.raises(FileExistsError, match=f"^{run[1]}: holds a run already; --resume continues it, "):
        fit(make_detector(), *data, run[1], RECIPE)
    assert {path.name: path.stat().st_mtime_ns for path in run[1].iterdir()} == before


@pytest.mark.integration
def test_nothing_to_resume(data, make_detector, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"^{tmp_path}/last.npz: missing; there is no run to resume$"):
        fit(make_detector(), *data, tmp_path, RECIPE, resume=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_more_in_a_batch_than_there_are(data, make_detector, tmp_path):
    with pytest.raises(ValueError, match="^5 training images do not fill one batch of 6$"):
        fit(make_detector(), *data, tmp_path, dataclasses.replace(RECIPE, batch_size=6))
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_classes_that_do_not_fit(data, make_detector, tmp_path):
    train, val = data
    with pytest.raises(ValueError, match="^the model has 4 classes, the data has 3$"):
        fit(make_detector(classes=4), train, val, tmp_path, RECIPE)
    other = dataclasses.replace(val, class_names=(*val.class_names[:2], "mauve"))
    with pytest.raises(ValueError, match="^train and val must have the same classes. Received: .*'red'"):
        fit(make_detector(), train, other, tmp_path, RECIPE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ("epochs", "batch_size", "evaluate_every"))
def test_a_recipe_of_nothing(name):
    with pytest.raises(ValueError, match=f"^{name} must be at least 1. Received: {name}=0$"):
        Recipe(**{name: 0})


@pytest.mark.integration
def test_a_file_in_the_place_of_the_folder(data, make_detector, tmp_path):
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(
        NotADirectoryError, match=f"^{tmp_path}/run: is not a folder, expected one to write recipe.json into$"
    ):
        fit(make_detector(), *data, tmp_path / "run", RECIPE)


@pytest.mark.integration
@pytest.mark.parametrize(
    "other, message",
    (
        ({"width": 32}, "last.npz: holds another model's weight arrays"),
        ({"size": 96}, "last.npz: holds a run of another detector, with the anchors .* Received: .*96"),
        (
            {"classes": ("a", "b", "c")},
            r"holds a run of another detector, with the classes \['0', '1', '2'\]. Received: .*'c'",
        ),
    ),
)
def test_a_run_of_another_detector_is_not_resumed(run, data, make_detector, other, message):
    before = (run[1] / "recipe.json").read_bytes()
    with pytest.raises(ValueError, match=message):
        fit(make_detector(**other), *data, run[1], dataclasses.replace(RECIPE, epochs=3), resume=True)
    assert (run[1] / "recipe.json").read_bytes() == before


@pytest.mark.integration
def test_a_finished_run_resumed_gives_its_best_weights(run, data, make_detector):
    model, reports = make_detector(), []
    assert fit(model, *data, run[1], RECIPE, resume=True, report=reports.append) == run[2]
    assert reports == ["resuming after epoch 2 of 2"]
    for weight, expected in zip(model.weights, run[0].weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.integration
def test_a_changed_recipe_is_reported(run, data, make_detector):
    reports = []
    changed = dataclasses.replace(RECIPE, epochs=1, augment={"flip": 0.25})
    fit(make_detector(), *data, run[1], changed, resume=True, report=reports.append)
    assert reports == [
        "resuming with epochs 1, up to now 2",
        "resuming with augment {'flip': 0.25}, up to now {}",
        "resuming after epoch 2 of 1",
    ]


@pytest.mark.slow
def test_quantization_aware_training_by_the_same_code(data, make_detector, tmp_path):
    reports, recipe = [], dataclasses.replace(RECIPE, epochs=1, ema=0.9)
    first = fit(quantize_aware(make_detector()), *data, tmp_path, recipe)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    best = load_detector(tmp_path / "best.keras")
    assert type(best) is QuantizedDetector and best.class_names == make_detector().class_names
    resumed, recipe = quantize_aware(make_detector()), dataclasses.replace(recipe, epochs=2)
    both = fit(resumed, *data, tmp_path, recipe, resume=True, report=reports.append)
    assert both[:1] == first and [row["epoch"] for row in both] == [1, 2]
    assert reports[:2] == ["resuming with epochs 2, up to now 1", "resuming after epoch 1 of 2"]
    with np.load(tmp_path / "last.npz") as state:
        assert state["optimizer0"] == 4
    with pytest.raises(ValueError, match="^precision mixed_float16: quantization-aware training has float32; leave"):
        fit(resumed, *data, tmp_path / "b", dataclasses.replace(recipe, precision="mixed_float16"))


@pytest.mark.slow
def test_quantization_aware_training_takes_all_options_of_a_recipe(tmp_path):
    rng, model = np.random.default_rng(0), quantize_aware(build_kind("pelee", classes=3))
    images = [LabelledImage(rng.integers(256, size=(64, 64, 3), dtype="uint8"), i % 3) for i in range(8)]
    data = ClassificationData(images, tuple("abc"))
    before = {weight.path: np.array(weight) for weight in model.weights}
    options = dict(freeze=1, accumulate=2, jit_compile=False, optimizer="sgd", tensorboard=True, ema=0.5)
    fit(model, data, data, tmp_path, Recipe(epochs=1, batch_size=2, warmup_epochs=0, **options))
    moved = {weight.path for weight in model.weights if not np.array_equal(weight, before[weight.path])}
    frozen = {path for path in before if path.startswith(("stem", "stage1", "transition1"))}
    assert frozen and not frozen & moved
    assert moved > {path for path in before if path.endswith("kernel")} - frozen
    assert load_network(tmp_path / "best.keras").class_names == ("a", "b", "c")


COMMAND = """
import sys
from cspkeras.commands.main import main
from cspkeras.registry import NETWORKS
from small_networks import shallow_detector
for name, network in NETWORKS.items():
    NETWORKS[name] = network._replace(build=lambda classes, **_: shallow_detector(classes=classes))
sys.exit(main(sys.argv[1:]))
"""


def wait_for(path, process, seconds=300):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, f"no {path.name}"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "after, message", (("last.npz", "interrupted; continue with --resume"), ("recipe.json", "interrupted"))
)
def test_ctrl_c(tmp_path, after, message):
    voc, folder = small_voc(tmp_path / "voc", train=8), tmp_path / "run"
    command = [sys.executable, "-c", COMMAND, "train", "--data", voc, "--run", folder]
    command += ["--size", "64", "--batch-size", "2", "--epochs", "500"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(folder / after, process)
    time.sleep(0.5)
    presses, errors = 0, None
    while errors is None and presses < 10:  # a callback of TensorFlow's may swallow one; a person presses again
        process.send_signal(signal.SIGINT)
        presses += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1].startswith(f"cspkeras: {message}")
    assert "Traceback" not in errors or presses > 1
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
