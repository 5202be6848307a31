"""The `cspkeras` command: whatever is wrong, one line says what, and nothing half-done is left."""

import os
import shlex
import subprocess
import sys

import pytest
from small_data import COLORS

from cspkeras.commands.main import main, make_parser

TRAIN = ("train", "--data", "voc", "--run", "run", "--size", "32")
USAGE = {
    "no command": ((), "the following arguments are required: COMMAND"),
    "unknown command": (("fly",), "argument COMMAND: invalid choice: 'fly'"),
    "a script for the device": (
        ("detect", "x.tflite"),
        "detect is a script for the device; here it is run by: python -m",
    ),
    "unknown argument": ((*TRAIN, "--speed", "9"), "unrecognized arguments: --speed 9"),
    "no data": (("train",), "the following arguments are required: --data; for example: cspkeras train "),
    "no option before the model": (
        ("export", "x.keras"),
        "the following arguments are required: --model; for example: cspkeras export --model ",
    ),
    "no model": (("evaluate", "--data", "voc"), "the following arguments are required: --model"),
    "a size that is not a multiple of 32": (
        (*TRAIN, "--size", "100"),
        "argument --size: must be a multiple of 32, received 100",
    ),
    "three sizes": (
        (*TRAIN, "--size", "32", "64", "96"),
        "argument --size: takes one side or HEIGHT WIDTH, received 3 numbers",
    ),
    "size 0": ((*TRAIN, "--size", "0"), "argument --size: must be at least 1, received 0"),
    "size not a number": ((*TRAIN, "--size", "big"), "argument --size: must be a whole number, received big"),
    "negative epochs": ((*TRAIN, "--epochs", "-3"), "argument --epochs: must be at least 1, received -3"),
    "epochs not a number": ((*TRAIN, "--epochs", "many"), "argument --epochs: must be a whole number, received many"),
    "half an epoch": ((*TRAIN, "--epochs", "0.5"), "argument --epochs: must be a whole number, received 0.5"),
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


def parsers(parser, name=()):
    """Yield (words of a command, its parser) for all commands, also for those of groups."""
    for action in parser._actions:
        for word, inner in action.choices.items() if isinstance(action.choices, dict) else ():
            found = list(parsers(inner, (*name, word)))
            yield from found or [((*name, word), inner)]


COMMAND_PARSERS = dict(parsers(make_parser()))


@pytest.mark.parametrize("words", COMMAND_PARSERS, ids=" ".join)
def test_an_example_ends_each_commands_help(words):
    text = COMMAND_PARSERS[words].format_help()
    example = shlex.split(text.partition("\nexample:\n")[2])
    assert example[: 1 + len(words)] == ["cspkeras", *words]
    make_parser().parse_args(example[1:])  # which ends the process where it doesn't fit


@pytest.mark.parametrize("columns", ["40", "100"])
def test_the_help_lists_all_commands_with_an_example(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name in {words[0] for words in COMMAND_PARSERS}:
        assert [line for line in lines if line.startswith(f"  {name} ")]
        assert [line for line in lines if line.strip().startswith(f"cspkeras {name}")]
    assert all(len(line) <= int(columns) for line in lines if "cspkeras" not in line)


ALONE = """
import sys
sys.argv[0] = "cspkeras"
from cspkeras.commands.main import main
status = main(sys.argv[1:])
assert not {"tensorflow", "keras"} & set(sys.modules)
sys.exit(status)
"""


def alone(*words):
    """Run the command in a process of its own, which must do without TensorFlow; return (what it prints, errors)."""
    found = subprocess.run([sys.executable, "-c", ALONE, *map(str, words)], capture_output=True, text=True, check=True)
    return found.stdout, found.stderr


@pytest.mark.integration
def test_checking_data_does_without_tensorflow_and_what_it_logs(make_voc):
    printed, errors = alone("data", "check", make_voc(train=2, val=2))
    assert "4 images" in printed and errors == ""


@pytest.mark.integration
def test_bash_completes_a_command(tmp_path):
    script = tmp_path / "completion"
    script.write_text(alone("completion", "bash")[0])
    ask = f"source {script}; COMP_WORDS=(cspkeras ex); COMP_CWORD=1; _shtab_cspkeras; echo ${{COMPREPLY[@]}}"
    found = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["export"]
    assert "compdef" in alone("completion", "zsh")[0]


@pytest.mark.parametrize("flush", [True, False])
def test_a_reader_that_leaves_ends_it_quietly(flush, capsys, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr("cspkeras.commands.networks.models.run", lambda _: print("a line", flush=flush))
    with open(writing, "w") as pipe:  # which flushes again at its end
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(["models"]) == 141
    assert capsys.readouterr().err == ""


NOT_DETECTORS = {
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
PAIRS = [(name, command) for name in NOT_DETECTORS for command in COMMANDS]


@pytest.mark.integration
@pytest.mark.parametrize(("name", "command"), [pair for pair in PAIRS if pair != ("plain.keras", "export")])
def test_what_is_not_a_detector(name, command, models, one_error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = one_error(*(part.format(model=models / name) for part in COMMANDS[command]))
    assert line.startswith(f"cspkeras: {models / name}: {NOT_DETECTORS[name]}")
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
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
        ("evaluate", "bare.tflite", "LiteRT's CPU cannot run it"),
    ),
)
def test_what_is_not_a_tflite_file(command, name, message, models, one_error):
    path = models / name
    line = one_error(*(("check", path) if command == "check" else ("evaluate", "--model", path, "--data", "voc")))
    assert line.startswith("cspkeras: ") and str(path) in line and message in line


@pytest.mark.integration
def test_a_damaged_tflite_file(models, one_error):
    line = one_error("check", models / "bare.tflite")
    assert f"{models}/bare.tflite: LiteRT's CPU cannot run it" in line


def test_the_missing_reference_of_a_check(models, one_error, tmp_path):
    line = one_error("check", models / "bare.tflite", "--reference", tmp_path / "missing.keras")
    assert line == f"cspkeras: {tmp_path}/missing.keras: missing; expected a .keras file with the reference model"


@pytest.mark.integration
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
        message = f"{voc}: missing; expected a data set: a folder or a file"
    elif fault == "split":
        command += ["--split" if name == "test" else "--train-split", "dev"]
        message = f"{voc}/ImageSets/Main/dev.txt: missing; a Pascal VOC folder lists its dev images there"
    elif fault == "empty":
        listing.write_text("")
        message = f"{listing}: no image with a usable object; found no image"
    else:
        xml = voc / "Annotations/train0.xml"
        xml.write_text(xml.read_text().replace("<object>", "<thing>").replace("</object>", "</thing>"))
        message = f"{listing}: no image with a usable object; found 1 images without one"
    assert one_error(*command, "--data", voc) == f"cspkeras: {message}"
    assert not (tmp_path / "run").exists()


@pytest.mark.integration
def test_a_split_of_unknown_classes(models, one_error, make_voc):
    voc = make_voc(val=1)
    xml = voc / "Annotations/val0.xml"
    text = xml.read_text()
    for name in COLORS:
        text = text.replace(f">{name}<", ">mauve<")
    xml.write_text(text)
    line = one_error("evaluate", "--model", models / "detector.keras", "--data", voc, "--split", "val")
    assert line == f"cspkeras: {voc}/ImageSets/Main/val.txt: none of its classes (mauve) is among blue, green, red"


@pytest.mark.integration
def test_the_table_of_models(capsys):
    assert main(["models", "CSPPelee*"]) == 0
    header, line, *detectors = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header[:5] == ["backbone", "trainable", "weights", "published", "BFLOPs"]
    assert line[:6] == ["CSPPeleeNet", "2,845,480", "2,831,712", "2.83M", "0.888", "0.888"]
    assert [line[0] for line in detectors] == ["detector", "CSPPeleeNetEFM", "CSPPeleeNetPRN", "CSPPeleeNetPRN3L"]
    assert detectors[2][4:9] == ["3.590", "3.59", "416", "23.1", "44.5"]


def test_unknown_models(one_error):
    line = one_error("models", "Alex*")
    assert line.startswith("cspkeras: no network's name matches 'Alex*'; there are CS3DarknetFocusL, ")


@pytest.mark.integration
def test_int8_without_data(models, one_error, tmp_path):
    output = tmp_path / "new.tflite"
    line = one_error("export", "--model", models / "detector.keras", "--output", output, "--precision", "int8")
    assert line.startswith("cspkeras: --precision int8 needs --data, the images that calibrate it, or --calibration")
    assert not list(tmp_path.iterdir())


@pytest.mark.integration
def test_a_file_in_the_place_of_the_output_folder(models, one_error, tmp_path):
    (tmp_path / "out").write_text("in the way")
    line = one_error("export", "--model", models / "detector.keras", "--output", tmp_path / "out/new.tflite")
    assert line == f"cspkeras: {tmp_path}/out: is not a folder, expected one to write new.tflite into"


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("state, message", ((False, "interrupted"), (True, "interrupted; continue with --resume")))
@pytest.mark.parametrize("command", (("train",), ("quantize", "--model", "missing.keras")))
def test_interrupted(command, state, message, one_error, tmp_path, monkeypatch):
    monkeypatch.setattr("cspkeras.training.data.reading.DataSet", interrupt)
    monkeypatch.setattr("cspkeras.saving.load_network", interrupt)
    if state:
        (tmp_path / "last.npz").touch()
        command = (*command, "--resume")
    assert one_error(*command, "--data", tmp_path, "--run", tmp_path) == f"cspkeras: {message}"


def test_an_interrupted_demo(one_error, tmp_path, monkeypatch):
    monkeypatch.setattr("cspkeras.demo.run.demo", interrupt)
    assert one_error("demo", "--run", tmp_path) == "cspkeras: interrupted; the same command resumes it"
    line = one_error("demo", "--run", tmp_path, "--overwrite")
    assert line == "cspkeras: interrupted; the same command without --overwrite resumes it"


def test_a_missing_extra(one_error, monkeypatch):
    monkeypatch.setitem(sys.modules, "cspkeras.tflite.proof.check", None)
    line = one_error("check", "a.tflite")
    assert "cspkeras.tflite.proof.check" in line and line.endswith(
        "install what is missing with: pip install 'cspkeras[all]'"
    )


def test_a_missing_extra_that_is_known(one_error, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    line = one_error("data", "check", "tfds:coco")
    assert line == "cspkeras: tfds:coco: needs TensorFlow Datasets: pip install 'cspkeras[tfds]'"


def test_traceback_on_demand(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.keras"):
        main(["--traceback", "evaluate", "--model", str(tmp_path / "missing.keras"), "--data", str(tmp_path)])


@pytest.mark.integration
def test_extras_are_imported_where_they_are_used():
    modules = "cspkeras, cspkeras.commands.main, cspkeras.training.data.examples, cspkeras.tflite"
    extras = ("albumentations", "ai_edge_litert", "faster_coco_eval", "tensorflow_model_optimization")
    code = f"import sys, {modules}; print(*[name for name in {extras} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
