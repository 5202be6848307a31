"""What every backbone has to keep, tried on a small network of each kind; `test_published.py` has the whole ones."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import KINDS, build_kind, classifier

from cspkeras import backbones
from cspkeras.analysis import complexity
from cspkeras.backbones.pyramid import darknet_order
from cspkeras.cross_stage import FUSIONS
from cspkeras.layers import Shortcut

CROSS_STAGE = [kind for kind, (_, spec) in KINDS.items() if getattr(spec, "cross_stage", False)]  # in various ways
DARKNET = (
    "a .keras, .weights.h5 or Darknet .weights file, for networks with a `layout` argument also timm's .safetensors"
)
FILES = {"timm": "a .keras or .weights.h5 file or timm's .safetensors", "darknet": DARKNET}

each_kind = pytest.mark.parametrize("kind", KINDS)


def images(*shape):
    return np.random.default_rng(2).random(shape, "float32")


@pytest.mark.integration
@pytest.mark.parametrize(("kind", "pooling"), [*((kind, None) for kind in KINDS), ("pelee", "avg"), ("pelee", "max")])
def test_without_the_top(kind, pooling):
    model = build_kind(kind, (64, 128, 3), include_top=False, pooling=pooling, name="net")
    last = backbones.pyramid(model)["P5"]
    assert last.shape[:3] == (None, 2, 4)
    assert model.output_shape == (last.shape if pooling is None else (None, last.shape[-1]))
    assert model.name == "net"
    x = images(1, 64, 128, 3)
    features = np.asarray(keras.Model(model.input, last)(x))
    pool = {None: lambda f: f, "avg": lambda f: f.mean((1, 2)), "max": lambda f: f.max((1, 2))}[pooling]
    np.testing.assert_allclose(model(x), pool(features), atol=1e-5)


@pytest.mark.integration
@each_kind
def test_the_classifier_and_its_logits(kind):
    model = classifier(kind)
    assert model.output_shape == (None, 7)
    logits = build_kind(kind, classes=7, classifier_activation=None)
    logits.set_weights(model.get_weights())
    x = images(2, 64, 64, 3)
    found = np.asarray(model(x))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, keras.ops.softmax(logits(x)), atol=1e-5)


@pytest.mark.integration
@each_kind
def test_any_size_gives_the_same_as_the_fixed_one(kind):
    model = build_kind(kind, (None, None, 3), classes=7)
    model.set_weights(classifier(kind).get_weights())
    x = images(1, 64, 64, 3)
    np.testing.assert_allclose(model(x), classifier(kind)(x), atol=1e-5)
    assert model(images(1, 128, 64, 3)).shape == (1, 7)


@pytest.mark.integration
@each_kind
def test_building_on_a_tensor(kind):
    image = layers.Input((64, 64, 1), name="grey")
    model = build_kind(kind, None, input_tensor=layers.Concatenate()([image] * 3), classes=7)
    model.set_weights(classifier(kind).get_weights())
    x = images(2, 64, 64, 1)
    assert model.input is image
    np.testing.assert_allclose(model(x), classifier(kind)(x.repeat(3, axis=3)), atol=1e-5)


@pytest.mark.integration
@each_kind
def test_save_load_clone_and_weights(kind, tmp_path):
    model, x = classifier(kind), images(1, 64, 64, 3)
    expected = np.asarray(model(x))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    others = [build_kind(kind, classes=7, weights=tmp_path / file) for file in ("model.keras", "model.weights.h5")]
    for other in (loaded, clone, *others):
        assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
        order = [layer.name for layer in darknet_order(other)]
        assert order == [layer.name for layer in darknet_order(model)]
        np.testing.assert_array_equal(other(x), expected)


@pytest.mark.integration
@each_kind
def test_the_activation_is_that_of_all_convolutions(kind):
    model = build_kind(kind, activation="mish", include_top=False)
    activations = [layer for layer in model.layers if layer.name.endswith("_act")]
    assert {layer.activation for layer in activations} == {keras.activations.mish}


def channels_crossing(model):
    """Return the channels of each stage's part 1, by the concatenations, in which part 2 comes first."""
    fused = [layer.input for layer in model.layers if layer.name.endswith("_fuse")]
    for part2, part1 in fused:
        assert "part1" in part1._keras_history.operation.name and "part1" not in part2._keras_history.operation.name
    return [part1.shape[-1] for _, part1 in fused]


@pytest.mark.integration
@pytest.mark.parametrize("kind", CROSS_STAGE)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion_reaches_every_stage(kind, fusion):
    model = build_kind(kind, include_top=False, fusion=fusion)
    stages = len(backbones.pyramid(model))
    assert len(channels_crossing(model)) == stages
    names = [layer.name for layer in model.layers]
    # MobileNetV2's T are its blocks' projections; the last stage of CSPDenseNet201 has no M, of the elastic one no T.
    t_count = sum(name.endswith("_part2_transition") for name in names)
    m_count = sum(bool(re.fullmatch(r"stage\d_transition|transition\d_conv", name)) for name in names)
    t_all = {"mobilenet csp": 0, "densenet elastic csp": stages - 1}.get(kind, stages)
    m_all = stages - (kind == "densenet csp" and fusion == "csp")
    assert t_count == (0 if fusion == "fusion_first" else t_all)
    assert m_count == (0 if fusion == "fusion_last" else m_all)
    assert np.isfinite(model(images(1, 64, 64, 3))).all()


@pytest.mark.integration
@pytest.mark.parametrize("kind", CROSS_STAGE)
def test_gamma_reaches_every_stage(kind):
    few, half, most = (build_kind(kind, include_top=False, gamma=gamma) for gamma in (0.1, 0.5, 0.9))
    for widths in zip(*map(channels_crossing, (few, half, most)), strict=True):
        assert widths[0] < widths[1] < widths[2] or kind == "mobilenet csp" and widths[0] <= widths[1] < widths[2]
    for model in (few, most):
        assert np.isfinite(model(images(1, 64, 64, 3))).all()


@pytest.mark.integration
@each_kind
def test_half_precision(kind):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build_kind(kind, include_top=False)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    out = model(images(1, 64, 64, 3))
    assert keras.backend.standardize_dtype(out.dtype) == "float16" and np.isfinite(out).all()


@pytest.mark.slow
@each_kind
def test_a_training_step_changes_every_weight(kind):
    model = build_kind(kind, classes=7)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    before = [np.array(weight) for weight in model.trainable_weights]
    model.fit(images(4, 64, 64, 3), np.arange(4), batch_size=4, verbose=0)
    unchanged = [w.path for w, old in zip(model.trainable_weights, before, strict=True) if np.array_equal(w, old)]
    assert not unchanged


@pytest.mark.integration
@each_kind
def test_the_costs_are_counted(kind):
    cost = complexity(classifier(kind))
    assert cost.trainable == sum(np.prod(weight.shape) for weight in classifier(kind).trainable_weights)
    assert cost.bflops > 0 and cost.cio > 0


def test_the_order_of_a_cfg():
    expected = ["stem_conv"]
    for stage in range(1, 6):
        parts = ["downsample", "part1", "part2"]
        parts += [f"block1_{half}_conv{i}" for half in ("high", "low") for i in (1, 2)]
        expected += [f"stage{stage}_{part}" for part in (*parts, "part2_transition", "transition")]
    assert [layer.name for layer in darknet_order(classifier("darknet elastic"))] == [
        *expected,
        "predictions",
    ]


def test_resnets_shortcuts_span_resolutions():
    model = classifier("resnet")
    strides = {layer.name: layer.strides for layer in model.layers if isinstance(layer, Shortcut)}
    assert strides == {f"stage{stage}_block1_add": 1 if stage == 1 else 2 for stage in (1, 2, 3, 4)}
    narrow = [layer for layer in classifier("resnext csp").layers if isinstance(layer, Shortcut)]
    assert [layer.name for layer in narrow] == ["stage1_block1_add"]


WRONG = [  # what no network takes, and the end of the error
    ({"classes": 0}, "classes must be a positive integer. Received: classes=0"),
    ({"activation": "gelu"}, "linear. Received: activation='gelu'"),
    ({"weights": True}, "weights must be None or {files} file. Received: weights=True"),
    ({"classes": 2.5}, "classes must be a positive integer. Received: classes=2.5"),
    ({"classes": None}, "classes must be a positive integer. Received: classes=None"),
    ({"input_shape": (100, 96, 3)}, "multiples of {stride}. Received: input_shape=(100, 96, 3)"),
    ({"input_shape": (64, 0, 3)}, "multiples of {stride}. Received: input_shape=(64, 0, 3)"),
    ({"input_shape": (64, 64)}, "multiples of {stride}. Received: input_shape=(64, 64)"),
    ({"input_shape": (64, 64, None)}, "multiples of {stride}. Received: input_shape=(64, 64, None)"),
    ({"input_shape": None}, "multiples of {stride}. Received: input_shape=None"),
    ({"input_shape": 64}, "multiples of {stride}. Received: input_shape=64"),
    ({"include_top": False, "pooling": "x"}, "pooling must be None, 'avg' or 'max'. Received: pooling='x'"),
    ({"weights": "imagenet1k"}, "weights must be None or {files} file. Received: weights='imagenet1k'"),
]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [(kind, *wrong) for kind in KINDS for wrong in (WRONG if kind in ("pelee", "cs3") else WRONG[:3])],
    ids=str,
)
def test_wrong_arguments_are_named_in_one_line(kind, options, error):
    with pytest.raises(ValueError) as caught:
        build_kind(kind, **options)
    spec = KINDS[kind][1]
    error = error.format(stride=spec.stride, files=FILES["timm" if hasattr(spec, "timm") else "darknet"])
    assert str(caught.value).endswith(error) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "error"),
    [({"gamma": 1}, "Received: gamma=1"), ({"fusion": "last"}, "Received: fusion='last'")],
)
def test_wrong_ways_to_divide_a_stage_are_named(option, error):
    with pytest.raises(ValueError, match=error):
        build_kind("pelee", **option)
