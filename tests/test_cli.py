"""The `cspkeras` command: whatever is wrong, one line says what, and nothing half-done is left behind."""

import ast
import json
import subprocess
import sys
import zipfile

import keras
import pytest
from conftest import COLORS, small_detector

from cspkeras.cli import main
from cspkeras.detection.anchors import Anchors
from cspkeras.training import trainer
from cspkeras.training.evaluation import SUMMARY

TRAIN = ("train", "--data", "voc", "--run", "run", "--size", "32")
USAGE = {
    "no command": ((), "the following arguments are required: COMMAND"),
    "unknown command": (("fly",), "argument COMMAND: invalid choice: 'fly'"),
    "unknown argument": ((*TRAIN, "--speed", "9"), "unrecognized arguments: --speed 9"),
    "no data": (("train",), "the following arguments are required: --data"),
    "no model": (("evaluate", "--data", "voc"), "the following arguments are required: --model"),
    "a size that is no multiple of 32": (
        (*TRAIN, "--size", "100"),
        "argument --size: must be a multiple of 32, received 100",
    ),
    "size 0": ((*TRAIN, "--size", "0"), "argument --size: must be at least 1, received 0"),
    "size no number": ((*TRAIN, "--size", "big"), "argument --size: "),
    "negative epochs": ((*TRAIN, "--epochs", "-3"), "argument --epochs: must be at least 1, received -3"),
    "epochs no number": ((*TRAIN, "--epochs", "many"), "argument --epochs: invalid number value: 'many'"),
    "half an epoch": ((*TRAIN, "--epochs", "0.5"), "argument --epochs: invalid number value: '0.5'"),
    "batch of none": ((*TRAIN, "--batch-size", "0"), "argument --batch-size: must be at least 1, received 0"),
    "negative rate": ((*TRAIN, "--learning-rate", "-1"), "argument --learning-rate: must be at least 0.0, received -1"),
    "rate NaN": ((*TRAIN, "--learning-rate", "nan"), "argument --learning-rate: must be at least 0.0, received nan"),
    "infinite rate": (
        (*TRAIN, "--learning-rate", "inf"),
        "argument --learning-rate: must be at least 0.0, received inf",
    ),
    "mosaic above 1": ((*TRAIN, "--mosaic", "1.5"), "argument --mosaic: must be from 0.0 to 1.0, received 1.5"),
    "negative flip": ((*TRAIN, "--flip", "-0.5"), "argument --flip: must be from 0.0 to 1.0, received -0.5"),
    "flip NaN": ((*TRAIN, "--flip", "nan"), "argument --flip: must be from 0.0 to 1.0, received nan"),
    "negative seed": ((*TRAIN, "--seed", "-1"), "argument --seed: must be from 0 to 4294967295, received -1"),
    "unknown precision": (
        ("export", "--model", "m", "--output", "o", "--precision", "int4"),
        "argument --precision: invalid choice: 'int4'",
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_arguments(case, one_error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = USAGE[case]
    line = one_error(*arguments)
    assert line.startswith(f"cspkeras: {message}") and "--help" in line
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a detector for `COLORS`, and files that are none."""
    folder = tmp_path_factory.mktemp("models")
    small_detector(classes=tuple(COLORS)).save(folder / "detector.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="plain").save(folder / "plain.keras")
    (folder / "text.keras").write_text("no model")
    (folder / "text.tflite").write_text("no model")
    (folder / "empty.keras").touch()
    (folder / "empty.tflite").touch()
    (folder / "bare.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with zipfile.ZipFile(folder / "zip.keras", "w") as archive:
        archive.writestr("config.json", "{")
    (folder / "folder.keras").mkdir()
    return folder


NO_DETECTORS = {
    "missing.keras": "missing; expected a .keras file with a detector",
    "folder.keras": "missing; expected a .keras file with a detector",
    "text.keras": "not a .keras file that can be loaded",
    "empty.keras": "not a .keras file that can be loaded",
    "zip.keras": "not a .keras file that can be loaded",
    "plain.keras": "holds a Sequential called 'plain', expected a cspkeras Detector",
}
COMMANDS = {
    "train": ("train", "--weights", "{model}", "--run", "out", "--data", "voc"),
    "quantize": ("quantize", "--model", "{model}", "--run", "out", "--data", "voc"),
    "evaluate": ("evaluate", "--model", "{model}", "--data", "voc"),
    "export": ("export", "--model", "{model}", "--output", "out/new.tflite"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", NO_DETECTORS)
def test_what_is_no_detector(name, command, models, one_error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = one_error(*(part.format(model=models / name) for part in COMMANDS[command]))
    assert line.startswith(f"cspkeras: {models / name}: {NO_DETECTORS[name]}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command, name, message",
    (
        ("check", "missing.tflite", "no such file, expected a .tflite"),
        ("check", "text.tflite", "not a .tflite"),
        ("check", "empty.tflite", "an empty file, expected a .tflite"),
        ("check", "detector.keras", "not a .tflite"),
        ("evaluate", "missing.tflite", "No such file or directory"),
        ("evaluate", "text.tflite", "not a .tflite file"),
        ("evaluate", "empty.tflite", "not a .tflite file"),
        ("evaluate", "bare.tflite", "carries no cspkeras settings; export it with cspkeras.tflite.convert"),
    ),
)
def test_what_is_no_tflite_file(command, name, message, models, one_error):
    path = models / name
    line = one_error(*(("check", path) if command == "check" else ("evaluate", "--model", path, "--data", "voc")))
    assert line.startswith("cspkeras: ") and str(path) in line and message in line


def test_a_damaged_tflite_file(models, one_error):
    line = one_error("check", models / "bare.tflite")
    assert f"{models}/bare.tflite: LiteRT's CPU cannot run it" in line


def test_the_missing_reference_of_a_check(models, one_error, tmp_path):
    line = one_error("check", models / "bare.tflite", "--reference", tmp_path / "missing.keras")
    assert line == f"cspkeras: {tmp_path}/missing.keras: no such file, expected a .keras model"


@pytest.mark.parametrize(
    "command", (("train", "--size", "32"), ("quantize", "--model", "detector"), ("evaluate", "--model", "detector"))
)
@pytest.mark.parametrize("fault", ("folder", "split", "empty", "classes"))
def test_unusable_data(command, fault, models, one_error, make_voc, tmp_path, monkeypatch):
    voc = make_voc(train=2, val=2)
    name = "test" if command[0] == "evaluate" else "train"
    listing = voc / "ImageSets" / "Main" / f"{name}.txt"
    listing.write_text("train0\n")
    command = [models / "detector.keras" if part == "detector" else part for part in command]
    command += ["--run", tmp_path / "run"] * (name == "train")
    if fault == "folder":
        voc = tmp_path / "nowhere"
        message = f"{voc}/ImageSets/Main/{name}.txt: missing; a Pascal VOC folder lists its {name} pictures there"
    elif fault == "split":
        command += ["--split" if name == "test" else "--train-split", "dev"]
        message = f"{voc}/ImageSets/Main/dev.txt: missing; a Pascal VOC folder lists its dev pictures there"
    elif fault == "empty":
        listing.write_text("")
        message = f"{listing}: no picture with a usable object"
    else:
        xml = voc / "Annotations/train0.xml"
        xml.write_text(xml.read_text().replace("<object>", "<thing>").replace("</object>", "</thing>"))
        message = f"{listing}: no picture with a usable object"
    assert one_error(*command, "--data", voc) == f"cspkeras: {message}"
    assert not (tmp_path / "run").exists()


def test_a_split_of_unknown_classes(models, one_error, make_voc):
    voc = make_voc(val=1)
    xml = voc / "Annotations/val0.xml"
    text = xml.read_text()
    for name in COLORS:
        text = text.replace(f">{name}<", ">mauve<")
    xml.write_text(text)
    line = one_error("evaluate", "--model", models / "detector.keras", "--data", voc, "--split", "val")
    assert line == f"cspkeras: {voc}/ImageSets/Main/val.txt: none of its classes (mauve) is among blue, green, red"


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


def test_the_table_of_models(capsys):
    assert main(["models", "CSPPelee*"]) == 0
    header, line, *detectors = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header[:5] == ["backbone", "trainable", "weights", "published", "BFLOPs"]
    assert line[:6] == ["CSPPeleeNet", "2,845,480", "2,831,712", "2.83M", "0.888", "0.888"]
    assert [line[0] for line in detectors] == ["detector", "CSPPeleeNetEFM", "CSPPeleeNetPRN", "CSPPeleeNetPRN3L"]
    assert detectors[2][4:9] == ["3.590", "3.59", "416", "23.1", "44.5"]


def test_models_that_are_not_there(one_error):
    line = one_error("models", "Alex*")
    assert line.startswith("cspkeras: no model's name matches 'Alex*'; there are CSPDarknet53, ")


def test_int8_without_data(models, one_error, tmp_path):
    output = tmp_path / "new.tflite"
    line = one_error("export", "--model", models / "detector.keras", "--output", output, "--precision", "int8")
    assert line == "cspkeras: --precision int8 needs --data, the pictures that calibrate it"
    assert not list(tmp_path.iterdir())


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


def test_a_file_in_the_place_of_the_output_folder(models, one_error, tmp_path):
    (tmp_path / "out").write_text("in the way")
    line = one_error("export", "--model", models / "detector.keras", "--output", tmp_path / "out/new.tflite")
    assert line == f"cspkeras: {tmp_path}/out: is no folder, expected one to write new.tflite into"


def test_problems_in_the_data_are_told_and_results_alone_are_on_the_standard_output(models, capsys, make_voc):
    voc = make_voc(train=3)
    (voc / "JPEGImages/train1.png").unlink()
    xml = voc / "Annotations/train2.xml"
    xml.write_text(xml.read_text().replace("<name>green</name>", "<name>mauve</name>"))
    command = ["evaluate", "--model", str(models / "detector.keras"), "--data", str(voc), "--split", "train"]
    assert main([*command, "--json"]) == 0
    captured = capsys.readouterr()
    measured = json.loads(captured.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(measured) == {*SUMMARY, "pictures", "per_class", "confusion", "worst", "curves", "problems"}
    assert set(measured["per_class"]) == set(COLORS) and len(measured["problems"]) == 2
    missing, unknown, summary = captured.err.splitlines()
    assert missing == f"{voc}/JPEGImages/train1.jpg: missing, picture left out"
    assert unknown.startswith(f"{xml}: unknown class 'mauve'")
    assert summary == f"{voc} train: 2 pictures, 5 boxes, 2 problems"

    assert main(command) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in table if row] == [*SUMMARY, "class", *COLORS]
    assert all(value == "-" or 0 <= float(value) <= 1 for row in table if len(row) == 2 for value in row[1:])
    assert [row[1] for row in table if row and row[0] in COLORS] == ["2", "1", "2"]


def test_a_class_that_does_not_occur_is_null_in_json(models, capsys, make_voc):
    voc = make_voc(val=1)
    xml = voc / "Annotations/val0.xml"
    xml.write_text(xml.read_text().replace("<name>green</name>", "<name>red</name>"))
    assert (
        main(["evaluate", "--model", str(models / "detector.keras"), "--data", str(voc), "--split", "val", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["per_class"]["green"]["AP"] is None


def test_an_evaluation_in_files(models, capsys, make_voc, tmp_path):
    command = ["evaluate", "--model", str(models / "detector.keras"), "--data", str(make_voc()), "--split", "val"]
    assert main([*command, "--output", str(tmp_path / "new/out"), "--json", "--score", "0.1", "--iou", "0.6"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "new/out/evaluation.json").read_text()) == printed
    assert (printed["confusion"]["score_threshold"], printed["confusion"]["iou_threshold"]) == (0.1, 0.6)
    page = (tmp_path / "new/out/evaluation.html").read_text()
    assert "<title>detector.keras on voc</title>" in page and "split val" in page


def test_an_evaluation_where_a_file_is_in_the_way(models, one_error, tmp_path):
    (tmp_path / "out").touch()
    line = one_error("evaluate", "--model", models / "detector.keras", "--data", "voc", "--output", tmp_path / "out")
    assert line == f"cspkeras: {tmp_path}/out: is no folder, expected one to write the evaluation into"


def coco_of(voc):
    """The Pascal VOC folder's validation pictures as a COCO file."""
    stored = {"images": [{"id": i, "file_name": f"JPEGImages/val{i}.png"} for i in range(2)]}
    stored["categories"] = [{"id": i, "name": name} for i, name in enumerate(("mauve", *COLORS))]
    stored["annotations"] = [
        {"image_id": i % 2, "category_id": i % 4, "bbox": [3 * i, 5, 9, 9], "area": 81, "iscrowd": 0} for i in range(8)
    ]
    (voc / "val.json").write_text(json.dumps(stored))
    return voc / "val.json"


def test_a_coco_file(models, capsys, make_voc):
    path = coco_of(make_voc())
    assert main(["evaluate", "--model", str(models / "detector.keras"), "--data", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    measured = json.loads(captured.out)
    assert {name: row["objects"] for name, row in measured["per_class"].items()} == dict.fromkeys(COLORS, 2)
    unknown, summary = captured.err.splitlines()
    assert unknown == (
        f"{path}: annotations[0] of val0.png: unknown class 'mauve', left out (2 objects, the first here); "
        "known are blue, green, red"
    )
    assert summary == f"{path}: 2 pictures, 6 boxes, 1 problems"
    assert main(["anchors", "--data", str(path), "--images", str(path.parent), "--count", "3", "--size", "64"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"cspkeras: {path}: objects of 1 shapes, too few for 3 anchors"


def test_one_file_is_not_two_splits(models, one_error, make_voc):
    path = coco_of(make_voc())
    for command in (("train",), ("quantize", "--model", models / "detector.keras")):
        line = one_error(*command, "--data", path)
        assert line == f"cspkeras: --data {path}: one file is one split, expected a folder that holds two"


def test_anchors_of_a_data_set(capsys, make_voc):
    command = ["anchors", "--data", str(make_voc()), "--size", "128", "--generations", "50"]
    assert main([*command, "--count", "6"]) == 0
    out = capsys.readouterr().out
    header, *rows = out.splitlines()[:4]
    assert header.split() == ["mean", "best", "IoU", "best", "possible", "recall"]
    fits = {row[:20].strip(): [float(value) for value in row[20:].split()] for row in rows}
    assert list(fits) == ["published", "k-means", "50 generations"]
    assert fits["published"][0] < fits["k-means"][0] <= fits["50 generations"][0] <= 1
    assert all(0 <= recall <= 1 for _, recall in fits.values())
    darknet, python = (line.split(" = ")[1] for line in out.splitlines()[-2:])
    pairs = ast.literal_eval(python)
    assert len(pairs) == 6 and [float(value) for value in darknet.split(",")] == [v for pair in pairs for v in pair]
    assert Anchors.of(pairs, (128, 128)).pairs.tolist() == [pytest.approx(pair) for pair in pairs]


def test_a_number_of_anchors_that_the_levels_do_not_share(capsys, make_voc):
    assert main(["anchors", "--data", str(make_voc()), "--count", "4", "--size", "64"]) == 1
    captured = capsys.readouterr()
    assert not captured.out and "must be a multiple of 3 pairs" in captured.err.splitlines()[-1]


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("state, message", ((False, "interrupted"), (True, "interrupted; go on with --resume")))
@pytest.mark.parametrize("command", (("train",), ("quantize", "--model", "missing.keras")))
def test_interrupted(command, state, message, one_error, tmp_path, monkeypatch):
    monkeypatch.setattr("cspkeras.training.data.read", interrupt)
    monkeypatch.setattr("cspkeras.detection.detector.load_detector", interrupt)
    if state:
        (tmp_path / "last.npz").touch()
    assert one_error(*command, "--data", tmp_path, "--run", tmp_path) == f"cspkeras: {message}"


def test_an_interrupted_demo(one_error, tmp_path, monkeypatch):
    monkeypatch.setattr("cspkeras.demo.run.demo", interrupt)
    assert one_error("demo", "--run", tmp_path) == "cspkeras: interrupted; the same command goes on"


def test_a_missing_extra(one_error, monkeypatch):
    monkeypatch.setitem(sys.modules, "cspkeras.tflite.check", None)
    line = one_error("check", "a.tflite")
    assert "cspkeras.tflite.check" in line and line.endswith(
        "install what is missing with: pip install 'cspkeras[all]'"
    )


def test_traceback_on_demand(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.keras"):
        main(["--traceback", "evaluate", "--model", str(tmp_path / "missing.keras"), "--data", str(tmp_path)])


def test_extras_are_imported_where_they_are_used():
    modules = "cspkeras, cspkeras.cli, cspkeras.training.data, cspkeras.tflite"
    extras = ("albumentations", "ai_edge_litert", "faster_coco_eval", "tensorflow_model_optimization")
    code = f"import sys, {modules}; print(*[name for name in {extras} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
