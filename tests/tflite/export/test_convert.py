"""Conversion: every precision runs, agrees with Keras and is wholly delegated to the GPU."""

import keras
import numpy as np
import pytest
from small_networks import small_backbone, small_detector
from untrained import spread_outputs

import cspkeras
from cspkeras.tflite import check, convert
from cspkeras.tflite.export import metadata
from cspkeras.tflite.export.convert import reference
from cspkeras.tflite.runtime import litert
from cspkeras.training import calibrate, quantize_aware

IMAGES = np.random.default_rng(0).uniform(0, 1, (6, 64, 64, 3)).astype("float32")


def batches():
    return (image[None] for image in IMAGES)


@pytest.fixture(scope="module")
def spread_detector():
    """A detector whose heads spread over their whole range, as a trained one's do."""
    keras.utils.set_random_seed(3)
    return spread_outputs(small_detector(), IMAGES)


@pytest.fixture(scope="module")
def file_of(spread_detector, tmp_path_factory):
    """A function: the file of a precision, converted once."""
    folder, made = tmp_path_factory.mktemp("files"), {}

    def get(precision):
        if precision not in made:
            calibration = batches() if precision == "int8" else None
            made[precision] = convert(spread_detector, folder / f"{precision}.tflite", precision, calibration)
        return made[precision]

    return get


@pytest.mark.integration
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_a_file_agrees_with_keras_and_is_delegated(file_of, spread_detector, precision):
    checked = check(file_of(precision), reference=reference(spread_detector), images=IMAGES)
    assert checked.precision == precision
    assert checked.faults == []
    if checked.gpu_delegated is None:
        pytest.skip(checked.gpu_note)
    assert checked.gpu_delegated
    if precision.startswith("float"):
        assert checked.gpu_difference < 1e-3


@pytest.mark.integration
def test_a_file_has_boxes_and_scores_apart(file_of):
    run = litert.run_cpu(file_of("float32"))
    predictions = 3 * (8 * 8 + 4 * 4 + 2 * 2)
    assert {name: value.shape[1:] for name, value in run.outputs.items()} == {
        "boxes": (1, predictions, 4),
        "scores": (1, predictions, 3),
    }
    assert run.outputs["scores"].min() >= 0 and run.outputs["scores"].max() <= 1


@pytest.mark.integration
def test_a_file_carries_labels_and_settings(file_of):
    settings, labels = metadata.read(file_of("int8"))
    assert labels == ["0", "1", "2"]
    assert settings["precision"] == "int8" and settings["input"]["height"] == settings["input"]["width"] == 64


@pytest.mark.integration
def test_int8_is_int8_throughout(file_of):
    """Between the image and the raw heads no layer falls back to floats: that would need another DEQUANTIZE."""
    operations = litert.run_cpu(file_of("int8")).operations
    assert operations["DEQUANTIZE"] <= 6
    assert operations["QUANTIZE"] <= 13, "the image, and where a map goes into two concatenations"
    assert file_of("int8").stat().st_size < 0.5 * file_of("float32").stat().st_size


@pytest.mark.integration
def test_depthwise_convolutions_are_int8_too(tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, padding="same")(image)
    for multiplier in (1, 2):
        x = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=multiplier, use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("swish")(x)
    model = keras.Model(image, keras.layers.Conv2D(4, 1)(x))
    for layer in (layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)):
        (kernel,) = layer.get_weights()  # its channels are of very different sizes, as trained ones may be
        layer.set_weights([kernel * np.geomspace(1, 100, kernel.shape[2])[:, np.newaxis]])
    small = IMAGES[:, :16, :16]
    path = convert(model, tmp_path / "depthwise.tflite", "int8", (image[None] for image in small))
    run = litert.run_cpu(path, small[:1])
    assert run.operations["DEQUANTIZE"] == run.operations["QUANTIZE"] == 1
    (answers,) = run.outputs.values()
    exact = np.asarray(model(small[:1]))
    assert np.sqrt(np.mean((answers[0] - exact) ** 2)) < 0.06 * exact.std()


@pytest.mark.slow
def test_a_quantization_aware_model_converts(make_detector, tmp_path):
    quantized = calibrate(quantize_aware(spread_outputs(make_detector(), IMAGES)), batches())
    path = convert(quantized, tmp_path / "q.tflite", "int8")
    assert check(path, reference=reference(quantized), images=IMAGES).faults == []


@pytest.mark.integration
def test_a_classifier_converts_and_keeps_its_weights_licence_without_labels(tmp_path):
    model = small_backbone("CSPPeleeNet")
    model.origin = origin = {"source": "https://example.org/x", "license": "Apache-2.0"}
    path = convert(model, tmp_path / "classifier.tflite", "float16")
    checked = check(path, reference=reference(model))
    assert checked.faults == [] and checked.gpu_delegated is not False
    assert metadata.read(path) == ({"format": 1, "task": "other", "precision": "float16", "weights": origin}, [])


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "int4"}, "precision must be one of"),
        ({"precision": "int8"}, "calibration"),
        ({"precision": "int8", "calibration": [IMAGES], "refine_steps": -2}, "refine_steps must not be negative"),
        ({"labels": "abc"}, "labels must be a list of class names. Received: labels='abc'"),
        ({"precision": "int8", "calibration": []}, "at least one batch"),
        ({"precision": "int8", "calibration": IMAGES}, r"takes batches \(N, 64, 64, 3\)\. Received: \(64, 64, 3\)"),
        (
            {"precision": "int8", "calibration": [IMAGES * 255], "refine_steps": 1},
            r"in 0\.\.1, .* Received: 0\.\d+ to 25",
        ),
    ],
)
def test_wrong_arguments(detector, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        convert(detector, tmp_path / "x.tflite", **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_a_model_of_any_size_is_refused(tmp_path):
    model = cspkeras.CSPPeleeNet(include_top=False, input_shape=(None, None, 3))
    with pytest.raises(ValueError, match="fixed input size"):
        convert(model, tmp_path / "x.tflite")


@pytest.mark.integration
def test_a_file_that_does_not_run_gets_no_name(detector, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise litert.LiteRTError("it does not run")

    monkeypatch.setattr(litert, "run_cpu", fails)
    with pytest.raises(RuntimeError, match="does not run"):
        convert(detector, tmp_path / "x.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def papers_detector():
    """The paper's detector at its size, and an image for it."""
    image = np.random.default_rng(0).uniform(0, 1, (1, 416, 416, 3)).astype("float32")
    return spread_outputs(cspkeras.CSPPeleeNetEFM(80, (416, 416, 3)), image), image


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_the_papers_detector_at_its_size_is_wholly_delegated(papers_detector, tmp_path, precision):
    model, image = papers_detector
    path = convert(model, tmp_path / "x.tflite", precision, calibration=[image])
    checked = check(path, reference=reference(model), images=image)
    assert checked.faults == []
    if checked.gpu_delegated is None:
        pytest.skip(checked.gpu_note)
    assert checked.gpu_delegated
