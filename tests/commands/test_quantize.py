"""`cspkeras quantize`: how many steps it takes, by what each measures."""

import json

import numpy as np
import pytest
from small_data import COLORS
from small_networks import build_kind

from cspkeras import Detector
from cspkeras.commands import quantize as quantize_command
from cspkeras.commands.main import main

STEPS = ["floats", "calibrated", "fitted to the floats", "trained on the labels"]
LONGEST = "the labels do not help"  # has all steps of the others, which are therefore not carried out in those
CASES = {  # mAP measured, in order; the steps taken
    "calibration is enough": ([0.60, 0.596], [0, 1]),
    "fitting is enough": ([0.60, 0.58, 0.595], [0, 1, 2]),
    LONGEST: ([0.60, 0.40, 0.50, 0.45], [0, 1, 2, 3]),
}


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A .keras file of a detector of few layers: each step converts it."""
    backbone = build_kind("darknet tiny", include_top=False)
    path = tmp_path_factory.mktemp("detector") / "detector.keras"
    Detector(backbone, "fpn_tiny", tuple(COLORS)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_trains_as_little_as_it_must(case, detector, make_voc, tmp_path, monkeypatch, capsys):
    measured, taken = CASES[case]
    figures = iter(measured)

    def measure(name, task, rows, file=None):
        rows[name] = {"mAP": next(figures), "mAP50": 0.9}
        return rows[name]["mAP"]

    def write(task, folder):
        (folder / "int8.tflite").touch()

    monkeypatch.setattr(quantize_command, "_measure", measure)
    if case != LONGEST:
        monkeypatch.setattr(quantize_command, "_write", write)
        monkeypatch.setattr("cspkeras.training.quantization.refinement.refine", lambda *_: None)
        monkeypatch.setattr("cspkeras.training.quantization.layer_errors.layer_errors", lambda *_: [])
    monkeypatch.setattr(quantize_command, "REFINE_BATCH", 2)
    run = tmp_path / "run"
    recipe = ("--set", "epochs=1", "--set", "batch_size=2", "--refine", "2")
    arguments = ("--model", detector, "--data", make_voc(), "--run", run, *recipe)
    assert main(["quantize", *map(str, arguments)]) == 0
    rows = json.loads((run / "quantization.json").read_text())
    assert list(rows) == [STEPS[i] for i in taken]
    assert [row["mAP"] for row in rows.values()] == measured
    assert (run / "int8.tflite").is_file()
    out, err = capsys.readouterr()
    assert [line.rsplit(maxsplit=2)[0] for line in out.splitlines()[-len(rows) - 1 : -1]] == list(rows)
    assert ("did not help" in err) == (case == LONGEST)
    assert (run / "last.npz").is_file() == ("trained on the labels" in rows)


def test_a_state_without_the_figures_before_the_training_is_an_error(tmp_path):
    np.savez(tmp_path / "untrained.npz", meta=json.dumps({"epoch": 1}))
    with pytest.raises(ValueError, match="untrained.npz: has no figures .* begin anew with --overwrite"):
        quantize_command._rows_before(tmp_path / "untrained.npz")
