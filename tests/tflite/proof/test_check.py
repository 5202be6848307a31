"""Files of every precision, and every way in which a file is bad, through `check`."""

import io
import json
import os
import shutil
import zipfile
from dataclasses import astuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cspkeras.tflite.proof.check import NO_16_BITS, NO_VULKAN, Check, check
from cspkeras.tflite.proof.differences import BOUNDS, Difference, _difference
from cspkeras.tflite.proof.floats import Floats
from cspkeras.tflite.runtime import litert

SHAPE = (1, 16, 16, 3)
QUANTIZED = {"optimizations": [tf.lite.Optimize.DEFAULT]}
IMAGES = np.random.default_rng(7).uniform(0, 1, (8, *SHAPE)).astype("float32")
INT8 = QUANTIZED | {"representative_dataset": lambda: ([image] for image in IMAGES)}
CONVERTERS = {
    "float32": {},
    "float16": QUANTIZED | {"target_spec": {"supported_types": [tf.float16]}},
    "dynamic": QUANTIZED,
    "int8": INT8,
    "int8 in and out": INT8 | {"inference_input_type": tf.int8, "inference_output_type": tf.int8},
}
INT16 = INT8 | {
    "target_spec": {"supported_ops": [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]}
}


def grouped(channels):
    filters = 4 * channels
    return lambda x: layers.Conv2D(filters, 3, groups=4, padding="same")(layers.Conv2D(filters, 1)(x))


def network(middle=lambda x: x):
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE[1:], name="image")
    # Wide enough for the converter's dynamic quantization, which leaves kernels below 1024 elements alone.
    x = middle(layers.Conv2D(48, 3, 2, padding="same", activation="relu6")(image))
    x = layers.Conv2D(24, 3, 2, padding="same", activation="relu6")(x)
    boxes = layers.Conv2D(4, 1, activation="sigmoid", name="boxes")(x)
    scores = layers.Conv2D(5, 1, activation="sigmoid", name="scores")(x)
    return keras.Model(image, {"boxes": boxes, "scores": scores})


def export(model, path, options=None):
    signature = [keras.InputSpec(shape=SHAPE, dtype="float32", name="image")]
    model.export(path, format="litert", verbose=False, input_signature=signature, **(options or {}))
    return str(path)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def reference(model):
    return lambda batch: {name: value.numpy() for name, value in model(batch, training=False).items()}


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("plain") / "plain.tflite")


@pytest.fixture(scope="module")
def vulkan(plain):
    found = check(plain, runs=1)
    if found.gpu_delegated is None:
        pytest.skip(found.gpu_note)


@pytest.mark.integration
@pytest.mark.parametrize("name", CONVERTERS)
def test_every_precision(name, model, reference, vulkan, tmp_path):
    path = export(model, tmp_path / "model.tflite", CONVERTERS[name])
    found = check(path, reference, runs=3)
    assert found.passed, found.table()
    assert found.precision == name.split()[0]
    assert found.operations["CONV_2D"] == 4
    assert found.size_bytes == os.path.getsize(path)
    assert found.latency_ms > 0
    assert found.gpu_delegated
    assert not found.rejected
    assert "32-bit floats" in found.gpu_note
    assert 0 < found.cpu_to_reference.mean <= found.cpu_difference < 0.1
    assert found.gpu_difference < 0.1
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["passed"] is True


@pytest.mark.integration
@pytest.mark.parametrize("ends", [{}, {"inference_input_type": tf.int16, "inference_output_type": tf.int16}])
def test_sixteen_bits_are_for_the_cpu(ends, model, reference, tmp_path):
    found = check(export(model, tmp_path / "model.tflite", INT16 | ends), reference, runs=1)
    assert found.passed, found.table()
    assert (found.precision, found.gpu_delegated, found.gpu_note) == ("int16x8", None, NO_16_BITS)
    assert 0 < found.cpu_to_reference.rms < 0.1 and not found.floats.operations


@pytest.mark.integration
def test_an_archive_after_the_flatbuffer_changes_nothing(plain, reference, vulkan, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("labels.txt", "cat\ndog\n")
    path = tmp_path / "labelled.tflite"
    with open(plain, "rb") as file:
        path.write_bytes(file.read() + archive.getvalue())
    found, expected = check(path, reference, runs=1), check(plain, reference, runs=1)
    assert found.passed
    assert found.gpu_delegated
    assert found.cpu_difference == expected.cpu_difference


@pytest.mark.integration
def test_without_a_vulkan_driver_the_cpu_alone_is_judged(plain, reference, monkeypatch):
    monkeypatch.setenv("VK_DRIVER_FILES", os.devnull)
    monkeypatch.setenv("VK_ICD_FILENAMES", os.devnull)
    found = check(plain, reference, runs=1)
    assert found.passed
    assert found.gpu_delegated is None
    assert found.gpu_difference is None
    assert found.gpu_note == NO_VULKAN


@pytest.mark.integration
def test_refused_operations_are_named(vulkan, tmp_path):
    found = check(export(network(layers.UpSampling2D(2)), tmp_path / "tile.tflite"), runs=1)
    assert found.gpu_delegated is False
    assert {"RESHAPE", "TILE"} <= {rejected["op"] for rejected in found.rejected}
    assert all("dimensions must be less than 5" in rejected["reason"] for rejected in found.rejected)
    assert "RESHAPE, TILE" in found.faults[0]
    (row,) = [line for line in found.table().splitlines() if line.startswith("TILE ")]
    assert "refuses 2: " in row and "less than 5" in row


@pytest.mark.integration
def test_the_delegate_dying_is_a_fault_not_an_error(vulkan, tmp_path):
    found = check(export(network(grouped(5)), tmp_path / "five.tflite"), runs=1)
    assert found.gpu_delegated is False
    assert not found.passed
    assert "died" in found.faults[0]


@pytest.mark.integration
def test_wrong_numbers_of_a_willing_delegate_are_a_fault(vulkan, tmp_path):
    found = check(export(network(grouped(2)), tmp_path / "two.tflite"), runs=1)
    assert found.gpu_delegated
    assert found.gpu_difference > 10 * BOUNDS["float32"].gpu[1]
    assert any(fault.startswith("GPU to CPU: largest difference") for fault in found.faults)


def wrong_scores(outputs):
    return outputs | {"scores": outputs["scores"] + 0.01}


@pytest.mark.integration
def test_a_difference_to_the_reference_is_a_fault_at_its_output(plain, reference):
    found = check(plain, lambda batch: wrong_scores(reference(batch)), runs=1)
    (fault,) = [fault for fault in found.faults if fault.startswith("CPU to reference")]
    assert "'scores'" in fault
    assert "FAILED" in found.table()


@pytest.mark.integration
def test_a_reference_may_answer_in_a_list(plain, reference):
    assert check(plain, lambda batch: list(reference(batch).values()), runs=1).passed


@pytest.mark.integration
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda outputs: {"boxes": outputs["boxes"]},
            r"are \['boxes', 'scores'\].* gives \['boxes'\]",
        ),
        (
            lambda outputs: list(outputs.values())[:1],
            r"are \['boxes', 'scores'\].* gives \['boxes'\]",
        ),
        (
            lambda outputs: [*outputs.values(), 0],
            r"are \['boxes', 'scores'\].* gives \['another, 2', 'boxes', 'scores'\]",
        ),
        (
            lambda outputs: outputs | {"boxes": outputs["boxes"][0]},
            r"'boxes' has shape .*1, 4, 4, 4.*4, 4, 4",
        ),
    ],
)
def test_a_reference_of_another_model_is_an_error(plain, reference, answer, message):
    with pytest.raises(ValueError, match=message):
        check(plain, lambda batch: answer(reference(batch)), runs=1)


@pytest.mark.integration
def test_a_keras_file_is_a_reference(tmp_path):
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE[1:], name="image")
    model = keras.Model(image, layers.Conv2D(4, 3, activation="relu")(image))
    model.save(tmp_path / "model.keras")
    found = check(export(model, tmp_path / "model.tflite"), tmp_path / "model.keras", runs=1)
    assert found.passed, found.table()
    assert found.cpu_difference < 1e-5
    with pytest.raises(FileNotFoundError, match="absent.keras"):
        check(tmp_path / "model.tflite", tmp_path / "absent.keras")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match="text.keras: not a .keras file that can be loaded"):
        check(tmp_path / "model.tflite", tmp_path / "text.keras")


@pytest.mark.integration
def test_images_are_compared_one_by_one(plain, reference):
    seen = []
    found = check(plain, lambda batch: seen.append(batch) or reference(batch), runs=1, images=IMAGES[:3, 0])
    assert found.passed
    np.testing.assert_array_equal(np.stack(seen), IMAGES[:3])


@pytest.mark.integration
def test_an_output_that_is_constant_or_not_a_number_is_a_fault(tmp_path):
    image = keras.Input(SHAPE[1:], name="image")
    outputs = {
        "flat": layers.Conv2D(4, 1, kernel_initializer="zeros")(image),
        "nan": keras.ops.log(image - 2),
    }
    path = export(keras.Model(image, outputs), tmp_path / "model.tflite")
    spread = {"flat": np.linspace(0, 1, 1024, dtype="float32").reshape(1, 16, 16, 4), "nan": IMAGES[0]}
    found = check(path, lambda batch: spread, runs=1)
    assert "CPU: output 'nan' has NaN or infinity" in found.faults
    assert "CPU: output 'flat' is constant, the reference's spans 0 to 1" in found.faults
    json.dumps(found.to_json(), allow_nan=False)


BAD = {
    "empty": (lambda good: b"", "an empty file, expected a .tflite"),
    "text": (lambda good: b"<html>not found</html>", "not a .tflite"),
    "header": (lambda good: good[:8], "expected a whole .tflite"),
    "truncated": (lambda good: good[: len(good) // 2], "expected a whole .tflite"),
    "damaged": (lambda good: good[:8] + bytes(200) + good[208:], "expected a whole .tflite"),
}


@pytest.mark.integration
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_of_one_line(name, plain, tmp_path):
    damage, message = BAD[name]
    path = tmp_path / "bad.tflite"
    with open(plain, "rb") as file:
        path.write_bytes(damage(file.read()))
    with pytest.raises(litert.LiteRTError, match=message) as error:
        check(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.integration
def test_arguments_are_checked(plain, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a .tflite"):
        check(tmp_path / "absent.tflite")
    with pytest.raises(ValueError, match="received threads=2, runs=0"):
        check(plain, runs=0)
    with pytest.raises(ValueError, match=r"shape \(1, 16, 16, 3\), .* received .*\(2, 8, 8, 3\)"):
        check(plain, images=np.zeros((2, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="finite"):
        check(plain, images=np.full((1, 16, 16, 3), np.nan, "float32"))


@pytest.mark.integration
def test_a_process_that_dies_or_hangs_is_an_error(plain, monkeypatch):
    with pytest.raises(litert.LiteRTError, match="no result within 0.01 seconds"):
        check(plain, timeout=0.01)
    monkeypatch.setattr(litert.sys, "executable", shutil.which("false"))
    with pytest.raises(litert.LiteRTError, match="its process died"):
        check(plain)


@pytest.mark.parametrize(
    ("precision", "values", "wanted", "expected"),
    [
        ("float32", [0, 1, 2, 4], [0, 1, 2, 3], Difference(1 / 3, 1 / 12, 0.5 / np.std([0, 1, 2, 3]))),
        ("int8", [0, 1, 2, 4], [0, 1, 2, 3], Difference(1 / 3, 1 / 12, 0.5 / np.std([0, 1, 2, 3]))),
        ("float32", [4, 5], [4, 4], Difference(2.5, 1.25, 64 * 2.5 * np.sqrt(0.5))),
        ("float16", [-4, -5], [-4, -4], Difference(2.5, 1.25, 64 * 2.5 * np.sqrt(0.5))),
        ("dynamic", [0.25, 0.5], [0.25, 0.25], Difference(0.25, 0.125, 64 * 0.25 * np.sqrt(0.5))),
        ("float32", [0, 0], [0, 0], Difference(0, 0, 0)),
    ],
)
def test_difference(precision, values, wanted, expected):
    found = _difference(np.array(values, "float32"), np.array(wanted, float), BOUNDS[precision])
    assert astuple(found) == pytest.approx(astuple(expected))


def test_the_table_is_readable_without_a_gpu():
    found = Check(
        path="model.tflite",
        size_bytes=12345,
        precision="int8",
        operations={"ADD": 1, "CONV_2D": 3},
        floats=Floats(1, 4, 50, 2000, [], []),
        threads=2,
        latency_ms=1.234,
        cpu_to_reference=Difference(0.1, 0.01, 0.02),
        gpu_delegated=None,
        gpu_note=NO_VULKAN,
        rejected=[],
        gpu_to_cpu=None,
        npu=None,
        bounds=BOUNDS["int8"],
        faults=[],
    )
    assert found.table().splitlines() == [
        "file              model.tflite, int8, 12,345 bytes",
        "in floats         1 of 4 operations, 2.5% of 2,000 multiply-adds",
        "CPU               1.23 ms on 2 threads",
        "CPU to reference  largest 1.0e-01, mean 1.0e-02, rms 2.0e-02; bound: rms 0.3",
        "GPU               not run",
        f"                  {NO_VULKAN}",
        "GPU to CPU        not compared",
        "result            passed",
        "",
        "operation                    count   GPU delegate",
        "CONV_2D                          3   not run",
        "ADD                              1   not run",
    ]
