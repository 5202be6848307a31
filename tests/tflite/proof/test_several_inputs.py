"""Files of several inputs and outputs, of any shape and type, through `check`, `benchmark` and the commands."""

import json

import cell_detector
import keras
import numpy as np
import pytest
from PIL import Image
from several_inputs import inputs, outputs

from cspkeras.commands import check as command
from cspkeras.commands.main import main
from cspkeras.tflite import benchmark, check, convert
from cspkeras.tflite.runtime.litert import run_cpu

pytestmark = pytest.mark.integration


def reference(batch):
    return outputs(**batch)


def test_floats_and_indices_are_those_of_numpy(several):
    run = run_cpu(several / "float32.tflite", inputs(2))
    rows = [{name: values[i : i + 1] for name, values in inputs(2).items()} for i in range(2)]
    for i, wanted in enumerate(map(reference, rows)):
        np.testing.assert_allclose(run.outputs["sum"][i], wanted["sum"], rtol=1e-4)
        np.testing.assert_array_equal(run.outputs["largest"][i], wanted["largest"])
    assert run.precision == "float32" and run.raw["ids"].dtype == np.int32


def test_integers_are_made_of_floats_and_taken_as_they_are(several):
    path, given = several / "int8.tflite", inputs(3)
    floats = run_cpu(path, given)
    assert floats.precision == "int8" and floats.raw["picture"].dtype == floats.raw["vector"].dtype == np.int8
    for name in ("picture", "vector"):  # of a calibration on 0..1
        np.testing.assert_allclose(floats.raw[name][:, 0], np.round(given[name] * 255) - 128, atol=2)
    integers = run_cpu(path, {name: values[:, 0] for name, values in floats.raw.items()})
    np.testing.assert_array_equal(integers.outputs["sum"], floats.outputs["sum"])
    np.testing.assert_allclose(integers.inputs["picture"][:, 0], given["picture"], atol=1 / 255)


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_check_compares_each_run(several, name):
    seen = []
    found = check(several / f"{name}.tflite", lambda x: seen.append(x) or reference(x), runs=1, images=inputs(3))
    assert [fault for fault in found.faults if not fault.startswith("GPU")] == []  # which takes no indices
    assert 0 < found.cpu_to_reference.rms < 0.1
    assert [set(row) for row in seen] == [{"picture", "vector", "ids"}] * 3


def test_the_gpu_gets_each_input(several):
    given = {name: values for name, values in inputs(2).items() if name != "ids"}
    found = check(several / "gpu.tflite", runs=1, images=given)
    if found.gpu_delegated is None:
        pytest.skip(found.gpu_note)
    assert found.gpu_delegated and found.gpu_difference < 1e-4, found.table()


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_benchmark_takes_them(several, name):
    measured = benchmark(several / f"{name}.tflite", threads=(1,), runs=3)
    assert not measured.note and measured.latencies[0].median_ms > 0
    assert any(one.kernel == "GATHER" for one in measured.operations)


WRONG = {
    "a name": (
        {"image": inputs(1)["picture"]},
        "its inputs are 'ids' (1, 3), 'picture' (1, 8, 8, 1), 'vector' (1, 5);",
    ),
    "no name": (inputs(1)["picture"], "received one array without a name"),
    "too few": ({name: inputs(1)[name] for name in ("ids", "vector")}, "received 'ids', 'vector'"),
    "a shape": (inputs(1) | {"vector": np.zeros((1, 4))}, "its input 'vector' has shape (1, 5)"),
    "lengths": (inputs(2) | {"vector": np.zeros((1, 5))}, "the same number of runs, received {'ids': 2,"),
    "text": (inputs(1) | {"vector": np.array([["a"] * 5])}, "received <U1"),
    "nothing": (inputs(0), "received int32 of shape (0, 3)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_inputs_are_an_error_of_one_line(several, name):
    given, words = WRONG[name]
    with pytest.raises(ValueError) as error:
        check(several / "float32.tflite", images=given)
    message = str(error.value)
    assert "float32.tflite: " in message and words.split("<")[0] in message and "\n" not in message


def test_the_command_reads_them_from_a_file(several, tmp_path, capsys, one_error):
    np.savez(tmp_path / "x.npz", **inputs(2))
    arguments = "check", several / "int8.tflite", "--inputs"
    main([*map(str, arguments), str(tmp_path / "x.npz"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["precision"] == "int8" and found["floats"]["operations"] == 0
    np.savez(tmp_path / "wrong.npz", picture=inputs(1)["picture"])
    assert "x.npz" not in one_error(*arguments, tmp_path / "wrong.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "objects.npz", x=np.array([None]))
    for name in ("text", "objects"):
        line = one_error(*arguments, tmp_path / f"{name}.npz")
        assert f"{name}.npz: not a whole .npz file" in line and "numpy.savez" in line
    assert "no-such.npz" in one_error(*arguments, tmp_path / "no-such.npz")


def test_images_for_a_file_that_says_nothing_of_images(several, tmp_path, one_error):
    line = one_error("check", several / "float32.tflite", "--images", tmp_path)
    assert "does not say how it takes images" in line and "--inputs" in line


def test_a_keras_model_of_vectors_is_a_reference(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    path, spec = tmp_path / "model.tflite", keras.InputSpec(shape=(1, 6), dtype="float32", name="x")
    model.export(str(path), format="litert", verbose=False, input_signature=[spec])
    found = check(path, tmp_path / "model.keras", runs=1, images=np.random.default_rng(0).random((5, 6)))
    assert found.cpu_difference < 1e-5 and found.passed, found.table()


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_the_command_feeds_images_as_the_device_does(name, tmp_path, capsys):
    path, image = (
        cell_detector.write(tmp_path / "cells.tflite", name),
        cell_detector.drawn_image(96, 64, (16, 16, 32, 32)),
    )
    Image.fromarray(image).save(tmp_path / "red.png")
    (fed,) = command._images(path, tmp_path)  # of the input's size
    red = np.array([127, -128, -128]) if name == "int8" else [1, 0, 0]
    np.testing.assert_array_equal(fed[20, 20], red)
    np.testing.assert_array_equal(fed[40, 40], [-128] * 3 if name == "int8" else [0] * 3)
    assert main(["check", str(path), "--images", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == name


def test_the_reference_of_raw_boxes_is_raw(models, tmp_path):
    source, path = models / "detector.keras", tmp_path / "raw.tflite"
    convert(keras.models.load_model(source), path, decode="host")
    found = check(path, source, runs=1)
    assert found.passed and found.cpu_difference < 1e-4, found.table()
