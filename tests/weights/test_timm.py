"""timm's weights and its layout of the networks, held against timm's own answers."""

import builtins
import json
import runpy
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from small_timm import NAMES, SMALL, build, save

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.backbones import timm_layout
from cspkeras.weights.timm import load_timm_file, timm_tensors

COUNTS = {"CSPDarknet53": 27_642_184, "CSPResNeXt50": 20_569_896, "CSPResNet50": 21_616_168, "Darknet53": 41_609_928}


@pytest.fixture(scope="module")
def source():
    """A small network of 5 classes that no test may change, none of its weights as initialized."""
    model, rng = build(classes=5), np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.weights])
    return model


@pytest.fixture
def file(source, tmp_path):
    return save(source, tmp_path / "x.safetensors")


def equal(model, other, head=True):
    pairs = list(zip(model.weights, other.weights, strict=True))
    return all(np.array_equal(one, two) for one, two in (pairs if head else pairs[:-2]))


@pytest.mark.integration
@pytest.mark.parametrize("variant", COUNTS)
def test_the_layouts_parameters_are_timms(variant):
    model = getattr(cspkeras, variant)(layout="timm", input_shape=(64, 64, 3))
    assert complexity(model).trainable == COUNTS[variant]
    assert timm_layout.VARIANTS[variant].published.trainable == COUNTS[variant]
    widths = timm_layout.VARIANTS[variant].widths
    levels = [(64 >> k, 64 >> k, width) for k, width in enumerate(widths, 6 - len(widths))]
    assert [x.shape[1:] for x in cspkeras.pyramid(model).values()] == levels


def golden(test_data, name, path):
    """(file of synthetic weights, image, timm's logits)."""
    synthetic = runpy.run_path(str(test_data / "goldens" / "synthetic.py"))
    shapes = json.loads((test_data / "goldens" / "timm" / f"{name}.json").read_text())["tensors"]
    save_file({tensor: synthetic["timm_tensor"](tensor, tuple(shape)) for tensor, shape in shapes.items()}, path)
    logits = np.load(test_data / "goldens" / "timm" / f"{name}.npz")["logits"]
    return path, synthetic["image"](96).transpose(0, 2, 3, 1), logits


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cspresnet50", "cspdarknet53"])
def test_published_networks_answer_as_in_timm(test_data, tmp_path, name):
    path, image, expected = golden(test_data, name, tmp_path / "x.safetensors")
    found = cspkeras.from_timm(name, path, classifier_activation=None).predict(image, verbose=0)
    assert np.abs(found - expected).max() < 3e-4 * np.abs(expected).max()


BLOCKS = {"blocks.0.conv1", "blocks.0.conv2"}
CROSS = {"conv_exp", "conv_transition_b", "conv_transition"}
SECOND_STAGE = {  # its convolutions as timm calls them
    "resnet": BLOCKS | CROSS | {"blocks.0.conv3", "blocks.1.conv1", "blocks.1.conv2", "blocks.1.conv3"},
    "darknet csp": BLOCKS | CROSS,
    "darknet": BLOCKS,
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_tensors_names_are_timms(kind):
    modules = {"stem.conv1", *(f"stages.1.{name}" for name in SECOND_STAGE[kind] | {"conv_down"})}
    parts = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    expected = {f"{module}.{part}" for module in modules for part in parts} | {"head.fc.weight", "head.fc.bias"}
    assert {
        name
        for name in timm_tensors(build(kind), timm_layout.MODULES)
        if name.startswith(("stem.", "stages.1.", "head."))
    } == expected


@pytest.mark.integration
@pytest.mark.parametrize("kind", SMALL)
def test_the_slope_and_the_stems_pooling_are_timms(kind):
    model = build(kind, input_shape=(64, 96, 3))
    slopes = {layer.negative_slope for layer in model.layers if type(layer).__name__ == "LeakyReLU"}
    assert slopes == {0.01}
    if kind == "resnet":
        conv = np.asarray(-1 - np.random.default_rng(0).random((1, 32, 48, 8), "float32"))
        found = model.get_layer("stem_pool_skip")(model.get_layer("stem_pool")(conv))
        padded = np.pad(conv, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        expected = [[padded[0, i : i + 3, j : j + 3].max((0, 1)) for j in range(0, 48, 2)] for i in range(0, 32, 2)]
        np.testing.assert_array_equal(found[0], expected)


@pytest.mark.integration
@pytest.mark.parametrize("variant", COUNTS)
def test_a_file_of_any_number_of_classes_by_timms_name(monkeypatch, tmp_path, variant):
    kind = {"Darknet53": "darknet", "CSPDarknet53": "darknet csp"}.get(variant, "resnet")
    monkeypatch.setitem(timm_layout.VARIANTS, variant, replace(SMALL[kind], timm=NAMES[variant]))
    source = build(kind, classes=5)
    path = save(source, tmp_path / "x.safetensors", lambda tensors: tensors.update(counter(), **half(tensors)))
    for name in (NAMES[variant], NAMES[variant].partition(".")[0]):
        model = cspkeras.from_timm(name, path)
        assert model.output_shape == (None, 5) and model.layers[-1].activation.__name__ == "softmax"
        assert equal(model, source)
    other = getattr(cspkeras, variant)(weights=path, classes=5, input_shape=(64, 64, 3), classifier_activation=None)
    assert equal(other, source) and other.layers[-1].activation.__name__ == "linear"


def counter():
    return {"stem.conv1.bn.num_batches_tracked": np.array(7)}  # as PyTorch writes for every batch-norm


def half(tensors):
    """Half precision that loses nothing here."""
    return {name: tensors[name].astype("float16") for name in tensors if name.endswith(("running_var", "bn.weight"))}


@pytest.mark.parametrize(
    ("name", "near"),
    [("cspresnet5", "cspresnet50, "), ("darknet", "darknet53"), ("zzz", "cs3darknet_focus_l, "), (None, "")],
)
def test_an_unknown_name_is_an_error_with_the_nearest_known_ones(name, near):
    with pytest.raises(ValueError, match=rf"such as {near}.* Received: name={name!r}$"):
        cspkeras.from_timm(name, "x.safetensors")


def reshape(tensors):
    tensors["stages.1.conv_down.conv.weight"] = tensors["stages.1.conv_down.conv.weight"][:, :, :1]


FAULTS = {
    "missing": (
        lambda tensors: tensors.pop("stages.1.blocks.1.conv2.bn.bias"),
        r"stages.1.blocks.1.conv2.bn.bias of layer 'stage2_block2_conv2_bn': expected shape \(16,\) of 16 floats, "
        "found none",
    ),
    "extra": (lambda tensors: tensors.update(z=np.ones(2)), r"z: expected no such tensor in timm, found shape \(2,\)"),
    "shape": (
        reshape,
        r"stages.1.conv_down.conv.weight of layer 'stage2_downsample': expected shape \(16, 4, 3, 3\) of 576 floats, "
        r"found shape \(16, 4, 1, 3\) of 192",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("skip_mismatch", [False, True])
def test_a_tensor_that_does_not_fit_is_named(source, tmp_path, fault, skip_mismatch):
    change, message = FAULTS[fault]
    path = save(source, tmp_path / "x.safetensors", change)
    with pytest.raises(ValueError, match=message) as caught:
        build(classes=5, weights=path, skip_mismatch=skip_mismatch)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 10}, r"head.fc.weight of layer 'predictions': expected shape \(10, 32\) of 320 floats, found "),
        ({"classes": 5, "input_shape": (32, 32, 4)}, r"'stem_conv': expected shape \(8, 4, 7, 7\) .* \(8, 3, 7, 7\)"),
    ],
    ids=str,
)
def test_an_argument_that_contradicts_the_file_is_an_error(file, options, message):
    with pytest.raises(ValueError, match=message):
        build(weights=file, **options)


def test_another_classifier_can_be_skipped(file, source):
    model = build(classes=10, weights=file, skip_mismatch=True)
    assert all(np.array_equal(one, two) for one, two in zip(model.weights[:-2], source.weights[:-2], strict=True))
    assert not np.asarray(model.weights[-1]).any()
    assert equal(build(classes=5, weights=file, skip_mismatch=True), source)


def test_no_layer_is_touched_unless_all_fits(source, tmp_path):
    path = save(source, tmp_path / "x.safetensors", FAULTS["extra"][0])
    model = build(classes=5)
    before = model.get_weights()
    with pytest.raises(ValueError, match="z: expected no such tensor"):
        load_timm_file(path, model, timm_layout.MODULES)
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))


def test_a_prefix_of_the_names_is_told(source, tmp_path):
    def prefixed(tensors):
        for name in list(tensors):
            tensors[f"model.{name}"] = tensors.pop(name)

    path = save(source, tmp_path / "x.safetensors", prefixed)
    with pytest.raises(
        ValueError, match=r"stem.conv1.* found none, but model.stem.conv1.*: leave the prefix 'model.' o"
    ):
        build(classes=5, weights=path)


@pytest.mark.integration
@pytest.mark.parametrize("content", [b"", b"no tensors at all", None])
@pytest.mark.parametrize("load", [lambda path: cspkeras.from_timm("darknet53", path), lambda path: build(weights=path)])
def test_a_broken_file_is_told_in_one_line(file, content, load):
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ValueError, match="not a safetensors file, or not a whole one") as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="missing; expected"):
        load(file)


def test_a_file_without_a_classifier(source, tmp_path):
    path = save(
        source, tmp_path / "x.safetensors", lambda tensors: [tensors.pop(f"head.fc.{n}") for n in ("weight", "bias")]
    )
    with pytest.raises(ValueError, match=r"head.fc.weight: expected \(classes, channels\), found none"):
        cspkeras.from_timm("cspresnet50", path)
    with pytest.raises(ValueError, match="head.fc.weight of layer 'predictions': expected .* found none"):
        build(classes=5, weights=path)
    assert equal(build(classes=5, weights=path, skip_mismatch=True), source, head=False)


def test_without_the_top_a_file_with_one_serves(file, source):
    model = build(include_top=False, pooling="max", weights=file)
    assert all(np.array_equal(one, other) for one, other in zip(model.weights, source.weights[:-2], strict=True))


@pytest.mark.integration
@pytest.mark.parametrize("module", ["safetensors", "huggingface_hub"])
def test_a_missing_package_is_named(monkeypatch, file, module):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == module:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'cspkeras\[timm\]'"):
        if module == "safetensors":
            build(classes=5, weights=file)
        cspkeras.CSPResNet50(weights="imagenet")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variant", "options", "message"),
    [
        (
            "CSPResNet50",
            {"layout": "darknet", "weights": "x.safetensors"},
            "layout must be 'timm' or None for these weights",
        ),
        ("Darknet53", {"layout": "darknet", "weights": "x.safetensors"}, "layout must be 'timm' or None"),
        ("CSPDarknet53", {"layout": "timm", "weights": "x.weights"}, "layout must be 'darknet' or None for these"),
        ("CSPResNeXt50", {"layout": "torch"}, "layout must be 'darknet', 'timm' or None. Received: layout='torch'"),
        ("CSPResNeXt50", {"layout": "timm", "gamma": 0.25}, "Received: fusion='csp', gamma=0.25"),
        (
            "CSPResNet50",
            {"weights": "x.safetensors", "fusion": "fusion_last"},
            "Received: fusion='fusion_last', gamma=0.5",
        ),
        ("CSPDarknet53", {"layout": "timm", "activation": "gelu"}, "Received: activation='gelu'"),
        ("ResNet50", {"weights": "x.safetensors"}, "also timm's .safetensors file. Received: weights='x.safetensors'"),
    ],
    ids=str,
)
def test_what_contradicts_the_layout_is_an_error(variant, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        getattr(cspkeras, variant)(**options)
    assert "\n" not in str(caught.value)
