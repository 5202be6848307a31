"""The named backbones take the published networks' .weights files."""

import runpy

import numpy as np
import pytest

import cspkeras

CFGS = {"csresnet50": "CSPResNet50", "csdarknet53": "CSPDarknet53", "densenet201": "DenseNet201"}


def write(path, floats):
    """Write a file of `floats` numbers, in the format of a recent Darknet."""
    with open(path, "wb") as file:
        np.array([0, 2, 5, 0, 0], "<i4").tofile(file)
        np.full(floats, 0.5, "<f4").tofile(file)
    return path


@pytest.fixture(scope="module")
def size():
    """Floats that CSPPeleeNet with three classes takes."""
    model = cspkeras.CSPPeleeNet(classes=3, input_shape=(32, 32, 3))
    return sum(int(np.prod(weight.shape)) for weight in model.weights)


def test_a_file_of_the_right_length_is_loaded(tmp_path, size):
    path = write(tmp_path / "x.weights", size)
    model = cspkeras.CSPPeleeNet(classes=3, input_shape=(32, 32, 3), weights=path)
    assert all((np.asarray(weight) == 0.5).all() for weight in model.weights)


@pytest.mark.integration
def test_without_the_top_a_file_with_one_serves(tmp_path, size):
    path = write(tmp_path / "x.weights", size)
    model = cspkeras.CSPPeleeNet(include_top=False, input_shape=(32, 32, 3), weights=path)
    assert (np.asarray(model.weights[0]) == 0.5).all()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "message"), [(-1, "ends in .*'predictions'"), (1, "continues after .*'predictions'")]
)
def test_a_file_of_another_length_names_the_layer(tmp_path, size, change, message):
    path = write(tmp_path / "x.weights", size + change)
    with pytest.raises(ValueError, match=message):
        cspkeras.CSPPeleeNet(classes=3, input_shape=(32, 32, 3), weights=path)


HEAD = 641  # floats of a class: the channels before and the bias


@pytest.mark.integration
def test_another_classifier_can_be_skipped(tmp_path, size):
    for classes in (3, 5):
        path = write(tmp_path / "x.weights", size + (classes - 3) * HEAD)
        model = cspkeras.CSPPeleeNet(classes=3, input_shape=(32, 32, 3), weights=path, skip_mismatch=True)
        *backbone, kernel, _ = [np.asarray(weight) for weight in model.weights]
        assert all((weight == 0.5).all() for weight in backbone)
        assert (kernel == 0.5).all() == (classes == 3)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("floats", "options", "message"),
    [
        (2 * HEAD, {}, r"continues after .*'predictions': expected 0 floats, found 1,282"),
        (-3 * HEAD - 1, {"skip_mismatch": True}, "ends in .*'stage4_transition': expected .* floats, found"),
        (0, {"input_shape": (32, 32, 4)}, "ends in .*'predictions': expected 1,923 floats, found 1,635"),
        (0, {"input_shape": (32, 32, 3), "include_top": False, "se": True}, "ends in .*layer"),
    ],
    ids=str,
)
def test_what_does_not_fit_names_the_layer_and_its_floats(tmp_path, size, floats, options, message):
    path = write(tmp_path / "x.weights", size + floats)
    with pytest.raises(ValueError, match=message) as caught:
        cspkeras.CSPPeleeNet(**{"classes": 3, "input_shape": (32, 32, 3), "weights": path} | options)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("cfg", CFGS)
def test_published_networks_answer_as_in_another_framework(test_data, tmp_path, cfg):
    synthetic = runpy.run_path(str(test_data / "goldens" / "synthetic.py"))
    golden = np.load(test_data / "goldens" / "darknet" / f"{cfg}.npz")
    path = tmp_path / f"{cfg}.weights"
    synthetic["write_darknet"](test_data / "darknet_cfg" / f"{cfg}.cfg", path)
    logits = [key for key in golden.files if key.startswith("conv")]
    expected = golden[(logits or golden.files)[0]].reshape(1, -1)
    activation = None if logits else "softmax"
    model = getattr(cspkeras, CFGS[cfg])(input_shape=(128, 128, 3), weights=path, classifier_activation=activation)
    found = model.predict(synthetic["photo"](128).transpose(0, 2, 3, 1), verbose=0)
    assert np.abs(found - expected).max() < 3e-4 * np.abs(expected).max()
