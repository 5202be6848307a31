"""Files that begin and end in integers, 16-bit activations, detectors that the host decodes, and wrong options."""

import re

import keras
import numpy as np
import pytest
from every_layer import lively, noise
from keras import layers
from small_networks import shallow_detector
from untrained import spread_outputs

from cspkeras.tflite import convert
from cspkeras.tflite.export import metadata
from cspkeras.tflite.export.convert import reference
from cspkeras.tflite.runtime import litert
from cspkeras.training import calibrate, quantize_aware

IMAGES = np.random.default_rng(0).uniform(0, 1, (8, 64, 64, 3)).astype("float32")


def classifier():
    keras.utils.set_random_seed(0)
    image = layers.Input((64, 64, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2)(image)))
    return lively(keras.Model(image, layers.Dense(4, name="kinds")(layers.GlobalAveragePooling2D()(x)), name="mine"))


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(3)
    return spread_outputs(shallow_detector(), IMAGES)


ENDS = {  # (precision, io): the type at both ends, the noise that is left
    ("int8", "float32"): ("float32", 0.05),
    ("int8", "int8"): ("int8", 0.05),
    ("int8", "uint8"): ("uint8", 0.05),
    ("int16x8", "float32"): ("float32", 0.01),
    ("int16x8", "int16"): ("int16", 0.01),
}


@pytest.mark.integration
@pytest.mark.parametrize(("precision", "io"), ENDS)
def test_a_file_has_the_ends_that_are_asked_for(model, tmp_path, precision, io):
    path = convert(model, tmp_path / "x.tflite", precision, [IMAGES], io=io, strict=True)
    run = litert.run_cpu(path, IMAGES)
    dtype, most = ENDS[precision, io]
    assert {x.dtype.name for x in run.raw.values()} == {dtype}
    assert bool(run.quantization["kinds"][0]) == (io != "float32")
    conversions = {"float32": 2, "int8": 0, "uint8": 2, "int16": 0}[io]
    assert run.operations.get("QUANTIZE", 0) + run.operations.get("DEQUANTIZE", 0) == conversions
    assert run.precision == precision
    exact = model.predict(IMAGES, verbose=0)
    assert 0 < noise(run.outputs["kinds"][:, 0], exact) < most


@pytest.mark.integration
def test_pixels_go_as_they_are_into_a_file_of_bytes(model, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 3), "uint8")
    path = convert(model, tmp_path / "x.tflite", "int8", [IMAGES], labels=list("abcd"), io="uint8")
    run = litert.run_cpu(path, pixels)
    np.testing.assert_array_equal(run.raw["image"][:, 0], pixels)
    exact = model.predict(pixels / np.float32(255), verbose=0)
    assert noise(run.outputs["kinds"][:, 0], exact) < 0.1


@pytest.fixture(scope="module")
def quantized_detector(detector):
    return calibrate(quantize_aware(detector), [IMAGES])


DECODED = [("float32", "file"), ("float32", "host"), ("int8", "host"), ("uint8", "host")]


@pytest.mark.integration
@pytest.mark.parametrize(("io", "decode"), DECODED)
def test_a_detectors_file_ends_in_boxes_or_in_raw_numbers(quantized_detector, tmp_path, io, decode):
    path = convert(quantized_detector, tmp_path / "x.tflite", "int8", io=io, decode=decode)
    run = litert.run_cpu(path, IMAGES)
    wanted = [reference(quantized_detector, decode)(image[None]) for image in IMAGES]
    depth = 3 if decode == "file" else 4
    predictions = 3 * (4 * 4 + 2 * 2)
    shapes = {name: x.shape[1:] for name, x in run.outputs.items()}
    assert shapes == {"boxes": (1, predictions, 4), "scores": (1, predictions, depth)}
    for name, found in run.outputs.items():
        exact = np.stack([row[name] for row in wanted])
        assert np.abs(found - exact).mean() < 0.02 * np.ptp(exact), name
    inside, end = run.graph.float_operations()
    assert inside == [] and bool(end) == (decode == "file")
    settings, _ = metadata.read(path)
    assert settings["boxes"] == {"file": "cyxhw", "host": "raw"}[decode]
    assert ("decode" in settings) == (decode == "host")
    if decode == "host":
        assert [level["stride"] for level in settings["decode"]["levels"]] == [16, 32]


@pytest.mark.integration
def test_a_detector_in_16_bits_is_nearer_to_its_floats(detector, tmp_path):
    exact = reference(detector, "host")(IMAGES[:1])
    noises = {}
    for precision, io in (("int8", "int8"), ("int16x8", "int16")):
        path = convert(detector, tmp_path / "x.tflite", precision, [IMAGES], io=io, decode="host")
        found = litert.run_cpu(path, IMAGES[:1]).outputs
        noises[precision] = max(noise(found[name][0], exact[name]) for name in exact)
    assert noises["int16x8"] < 0.2 * noises["int8"]


def several():
    left, right = layers.Input((8, 8, 3), name="left"), layers.Input((5,), name="right")
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(left), right])
    return keras.Model([left, right], layers.Dense(2)(x), name="two")


def unset():
    return quantize_aware(classifier())


def ready():
    return calibrate(quantize_aware(classifier()), [IMAGES[:2]])


VECTOR = np.zeros((2, 5), "float32")
WRONG = {  # what is converted, how, and what is said
    "io of floats": (
        classifier,
        {"precision": "float16", "io": "uint8"},
        "io of float16 must be one of float32. Received: io='uint8'; io=\"uint8\" is for int8",
    ),
    "io of 16 bits": (
        classifier,
        {"precision": "int16x8", "io": "int8"},
        "io of int16x8 must be one of float32, int16",
    ),
    "unknown io": (
        classifier,
        {"precision": "int8", "io": "bytes"},
        "io of int8 must be one of float32, int8, uint8. Received: io='bytes'",
    ),
    "host of a classifier": (classifier, {"decode": "host"}, "decode"),
    "unknown decode": (shallow_detector, {"decode": "phone"}, "decode"),
    "nothing to calibrate by": (
        classifier,
        {"precision": "int8"},
        "int8 needs a model from cspkeras.training.quantize_aware, or calibration images. Received: mine",
    ),
    "nothing for 16 bits": (classifier, {"precision": "int16x8"}, "int16x8 needs"),
    "ranges that met no values": (
        unset,
        {"precision": "int8"},
        "mine: its ranges have met no values yet; train it, or call cspkeras.training.calibrate(model, images) first",
    ),
    "floats of a quantized model": (
        ready,
        {"precision": "float16"},
        "a quantization-aware model converts to int8. Received: precision='float16'",
    ),
    "one array for two inputs": (
        several,
        {"precision": "int8", "calibration": [IMAGES[:, :8, :8]]},
        "calibration takes batches of 'left' (N, 8, 8, 3) and 'right' (N, 5), as a list, a tuple or a dict by these "
        "names. Received: one ndarray",
    ),
    "a dict of other names": (
        several,
        {"precision": "int8", "calibration": [{"a": IMAGES, "b": VECTOR}]},
        "Received: a dict of 'a', 'b'",
    ),
    "unequal counts": (
        several,
        {"precision": "int8", "calibration": [[IMAGES[:3, :8, :8], VECTOR]]},
        "of equal N. Received: N of 2, 3",
    ),
}


@pytest.mark.integration
@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_are_one_line_and_leave_no_file(case, tmp_path):
    build, options, message = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        convert(build(), tmp_path / "x.tflite", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_a_lambda_is_converted(tmp_path):
    image = layers.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, name="last")(layers.Lambda(lambda x: 2 * x - 1)(image)))
    small = IMAGES[:, :8, :8]
    run = litert.run_cpu(convert(model, tmp_path / "x.tflite", "int8", [small]), small)
    assert noise(run.outputs["last"][:, 0], model(small)) < 0.05
