"""What every backbone has to keep: its published figures and the arguments of keras.applications."""

import inspect
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras import backbones
from cspkeras.analysis import complexity
from cspkeras.backbones import peleenet

# The families, each with a small network of its kind: the arguments are a family's own, not a variant's.
FAMILIES = {
    peleenet: peleenet.PeleeSpec((1, 2, 1, 1), cross_stage=True, stem=8, growth_rate=8, bottleneck=(4, 4, 8, 8))
}
VARIANTS = {name: spec for family in FAMILIES for name, spec in family.VARIANTS.items()}

# The paper's #Param, in millions as printed.
PRINTED_WEIGHTS = {"PeleeNet": "2.79", "CSPPeleeNet": "2.83"}
# Where a published figure counts by another rule than ours: what ours says.
# PeleeNet's 1.017 counts the transitions' average pooling as if it took the maximum.
OUR_BFLOPS = {"PeleeNet": "1.0159"}
# The costliest layer at 416x416 and its BFLOPs (the paper's computational bottleneck).
COSTLIEST = {"PeleeNet": ("stage1_transition", 0.3544), "CSPPeleeNet": ("stage1_part2_transition", 0.1994)}
# Channels of the last levels, P5 the last.
PYRAMIDS = {"PeleeNet": (128, 256, 512, 704), "CSPPeleeNet": (128, 256, 512, 640)}

ARGUMENTS = {
    "include_top": True,
    "weights": None,
    "input_tensor": None,
    "input_shape": (224, 224, 3),
    "pooling": None,
    "classes": 1000,
    "classifier_activation": "softmax",
    "activation": "leaky_relu",
}

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)


def build(family, input_shape=(64, 64, 3), **options):
    return family.build(FAMILIES[family], input_shape=input_shape, **options)


@cache
def classifier(family):
    """One of 7 classes that no test may change."""
    keras.utils.set_random_seed(1)
    return build(family, classes=7)


def pictures(*shape):
    return np.random.default_rng(2).random(shape, "float32")


@each_variant
def test_parameters_and_bflops_are_the_published_ones(variant):
    published = VARIANTS[variant].published
    cost = complexity(getattr(backbones, variant)(input_shape=(published.size, published.size, 3)))
    assert cost.trainable == published.trainable
    assert f"{cost.weights / 1e6:.2f}" == PRINTED_WEIGHTS[variant]
    expected = OUR_BFLOPS.get(variant, str(published.bflops))
    assert f"{cost.bflops:.{len(expected.partition('.')[2])}f}" == expected


def test_peleenets_published_bflops_count_average_pooling():
    published = VARIANTS["PeleeNet"].published
    model = backbones.PeleeNet(input_shape=(published.size, published.size, 3))
    pools = [layer for layer in model.layers if isinstance(layer, layers.AveragePooling2D)]
    pooling = sum(2 * 2 * np.prod(layer.output.shape[1:]) for layer in pools) / 1e9
    assert round(complexity(model).bflops + pooling, 3) == published.bflops


@each_variant
def test_costliest_layer_and_pyramid_at_416(variant):
    model = getattr(backbones, variant)(input_shape=(416, 416, 3), include_top=False)
    layer, bflops = complexity(model).costliest
    assert (layer, round(bflops, 4)) == COSTLIEST[variant]
    levels = backbones.pyramid(model)
    first = 6 - len(PYRAMIDS[variant])
    expected = {f"P{k}": (416 >> k, 416 >> k, c) for k, c in enumerate(PYRAMIDS[variant], first)}
    assert {level: tensor.shape[1:] for level, tensor in levels.items()} == expected
    assert list(levels) == list(expected)
    assert levels["P5"] is model.output


@each_variant
def test_the_arguments_are_those_of_keras_applications(variant):
    parameters = inspect.signature(getattr(backbones, variant)).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert {name: defaults[name] for name in ARGUMENTS} == ARGUMENTS
    assert list(defaults)[: len(ARGUMENTS)] == list(ARGUMENTS)
    assert defaults["name"] == variant.lower()


def test_the_pyramid_of_another_model_is_an_error():
    dense = [layers.Dense(1, name=name) for name in ("in", "out")]
    other = keras.Sequential([layers.Input((3,)), *dense], name="other")
    with pytest.raises(ValueError, match=r"stage1_.* Received: other with layers \['in', 'out'\]"):
        backbones.pyramid(other)


@each_family
@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_without_the_top(family, pooling):
    model = build(family, (64, 96, 3), include_top=False, pooling=pooling, name="net")
    last = backbones.pyramid(model)["P5"]
    assert last.shape[:3] == (None, 2, 3)
    assert model.output_shape == (last.shape if pooling is None else (None, last.shape[-1]))
    assert model.name == "net"
    x = pictures(1, 64, 96, 3)
    features = np.asarray(keras.Model(model.input, last)(x))
    pool = {None: lambda f: f, "avg": lambda f: f.mean((1, 2)), "max": lambda f: f.max((1, 2))}[pooling]
    np.testing.assert_allclose(model(x), pool(features), atol=1e-5)


@each_family
def test_the_classifier_and_its_logits(family):
    model = classifier(family)
    assert model.output_shape == (None, 7)
    logits = build(family, classes=7, classifier_activation=None)
    logits.set_weights(model.get_weights())
    x = pictures(2, 64, 64, 3)
    found = np.asarray(model(x))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, keras.ops.softmax(logits(x)), atol=1e-5)


@each_family
def test_any_size_gives_the_same_as_the_fixed_one(family):
    model = build(family, (None, None, 3), classes=7)
    model.set_weights(classifier(family).get_weights())
    x = pictures(1, 64, 64, 3)
    np.testing.assert_allclose(model(x), classifier(family)(x), atol=1e-5)
    assert model(pictures(1, 96, 32, 3)).shape == (1, 7)


@each_family
def test_building_upon_a_tensor(family):
    image = layers.Input((64, 64, 1), name="grey")
    model = build(family, None, input_tensor=layers.Concatenate()([image] * 3), classes=7)
    model.set_weights(classifier(family).get_weights())
    x = pictures(2, 64, 64, 1)
    assert model.input is image
    np.testing.assert_allclose(model(x), classifier(family)(x.repeat(3, axis=3)), atol=1e-5)


@each_family
def test_save_load_clone_and_weights(family, tmp_path):
    model, x = classifier(family), pictures(1, 64, 64, 3)
    expected = np.asarray(model(x))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    others = [build(family, classes=7, weights=tmp_path / file) for file in ("model.keras", "model.weights.h5")]
    for other in (loaded, clone, *others):
        assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
        np.testing.assert_array_equal(other(x), expected)


@each_family
def test_the_activation_is_that_of_all_convolutions(family):
    model = build(family, activation="mish", include_top=False)
    activations = [layer for layer in model.layers if layer.name.endswith("_act")]
    assert {layer.activation for layer in activations} == {keras.activations.mish}


@pytest.mark.parametrize(
    ("options", "last", "crossing"),
    [
        ({"fusion": "csp"}, "stage4_transition_act", 0.5),
        ({"fusion": "fusion_first"}, "stage4_transition_act", 0.5),
        ({"fusion": "fusion_last"}, "stage4_fuse", 0.5),
        ({"gamma": 0.25}, "stage4_transition_act", 0.25),
    ],
)
def test_fusion_and_gamma_reach_every_stage(options, last, crossing):
    model = build(peleenet, include_top=False, **options)
    for stage in (1, 2, 3, 4):
        part1, part2 = (model.get_layer(f"stage{stage}_part{part}") for part in (1, 2))
        assert part1.filters == crossing * (part1.filters + part2.filters)
    levels = backbones.pyramid(model)
    assert levels["P5"]._keras_history.operation.name == last
    assert [tensor.shape[1] for tensor in levels.values()] == [16, 8, 4, 2]


@each_family
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"classes": 0}, "classes must be a positive integer. Received: classes=0"),
        ({"classes": 2.5}, "classes must be a positive integer. Received: classes=2.5"),
        ({"classes": None}, "classes must be a positive integer. Received: classes=None"),
        ({"input_shape": (100, 96, 3)}, "multiples of 32. Received: input_shape=(100, 96, 3)"),
        ({"input_shape": (64, 0, 3)}, "multiples of 32. Received: input_shape=(64, 0, 3)"),
        ({"input_shape": (64, 64)}, "multiples of 32. Received: input_shape=(64, 64)"),
        ({"input_shape": (64, 64, None)}, "multiples of 32. Received: input_shape=(64, 64, None)"),
        ({"input_shape": None}, "multiples of 32. Received: input_shape=None"),
        ({"input_shape": 64}, "multiples of 32. Received: input_shape=64"),
        ({"include_top": False, "pooling": "x"}, "pooling must be None, 'avg' or 'max'. Received: pooling='x'"),
        ({"activation": "gelu"}, "linear. Received: activation='gelu'"),
        ({"weights": True}, "a .keras or .weights.h5 file. Received: weights=True"),
        ({"weights": "imagenet"}, "a .keras or .weights.h5 file. Received: weights='imagenet'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named_in_one_line(family, options, error):
    with pytest.raises(ValueError) as caught:
        build(family, **options)
    assert str(caught.value).endswith(error) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "error"),
    [({"gamma": 1}, "Received: gamma=1"), ({"fusion": "last"}, "Received: fusion='last'")],
)
def test_wrong_ways_to_divide_a_stage_are_named(option, error):
    with pytest.raises(ValueError, match=error):
        build(peleenet, **option)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize(
    ("content", "error"),
    [(None, "missing; expected a .keras or .weights.h5 file"), (b"no model", "holds no weights for this peleenet")],
)
def test_weights_that_cannot_be_read_are_an_error_naming_the_file(content, error, ending, tmp_path):
    path = tmp_path / f"file{ending}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileNotFoundError if content is None else ValueError) as caught:
        build(peleenet, include_top=False, weights=path)
    assert str(caught.value).startswith(f"{path}: {error}") and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_other_classes_are_an_error(tmp_path):
    path = tmp_path / "seven.weights.h5"
    classifier(peleenet).save_weights(path)
    with pytest.raises(ValueError, match=r"seven.weights.h5: holds no weights for this peleenet .*predictions"):
        build(peleenet, classes=8, weights=path)
