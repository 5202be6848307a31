"""Where a quantization-aware model rounds, and what shares a range."""

import keras
import pytest
from keras import layers
from small_networks import small_detector

import cspkeras
from cspkeras.training.quantization.flattening import flattened
from cspkeras.training.quantization.placement import placed


@pytest.fixture(scope="module")
def places():
    """{layer's name: (its first `FakeQuant`, the options of its call)} of a detector."""
    return by_name(small_detector())


def by_name(model):
    return {operation.name: row[0] for operation, row in placed(flattened(model)).items()}


def test_what_is_concatenated_shares_one_range(places):
    shared = ["stage3_fuse", "stage3_part1_act", "stage3_part2_transition_act", "neck_p4_concat"]
    assert len({places[name][0] for name in shared}) == 1
    assert places["stage3_block1_concat"][0] is places["stage3_block2_near_conv2_act"][0]
    assert places["stage3_block1_concat"][0] is not places["stage3_fuse"][0]
    leading = [name for name in shared if places[name][1].get("leads", True)]
    assert leading == ["neck_p4_concat"], "the range follows what holds all of it"


def test_each_range_is_named_after_a_layer(places):
    names = {quantizer.name.removesuffix("_range") for quantizer, _ in places.values()}
    assert names <= {layer.name for layer in small_detector().layers}


@pytest.mark.slow
def test_raw_scores_have_a_range_of_their_own_and_values_before_a_swish_a_floor():
    places = by_name(cspkeras.YOLOXNano(classes=2, input_shape=(32, 32, 3)))
    for level in ("p3", "p4", "p5"):
        raw = {places[f"head_{level}_{part}"][0].fixed for part in ("scores", "objectness", "classes")}
        assert raw == {(-8.0, 8.0)}
        assert places[f"head_{level}_boxes"][1] == {"tail": 0}
    assert places["stem_conv_bn"][1] == {"low": -8.0}
    assert places["stem_conv_act"][1] == {}


def conv(x, name="conv", filters=4):
    return layers.Conv2D(filters, 1, name=name)(x)


def norm(x, name="norm"):
    return layers.BatchNormalization(name=name)(x)


def act(x, kind, name="act"):
    return layers.Activation(kind, name=name)(x)


GRAPHS = {  # what is built on an image: the ranges, {layer: options that differ from none}
    "norm folds": (lambda x: act(norm(conv(x)), "relu"), {"image": {}, "act": {"tail": 0}}),
    "norm stays before": (lambda x: conv(act(norm(x), "relu")), {"image": {}, "act": {}, "conv": {"tail": 0}}),
    "norm is taken twice": (
        lambda x: layers.Add(name="sum")([(y := norm(conv(x))), act(y, "relu")]),
        {"image": {}, "norm": {}, "act": {}, "sum": {"tail": 0}},
    ),
    "swish": (lambda x: act(conv(x), "silu"), {"image": {}, "conv": {"low": -8.0}, "act": {"tail": 0}}),
    "sigmoid": (
        lambda x: act(conv(x), "sigmoid"),
        {"image": {}, "conv": {"low": -8.0, "high": 8.0}, "act": {"tail": 0}},
    ),
    "leaky": (
        lambda x: layers.LeakyReLU(name="act")(conv(x)),
        {"image": {}, "conv": {"before": 0}, "act": {"tail": 0}},
    ),
    "sum and relu": (
        lambda x: act(layers.Add(name="sum")([conv(x, "a"), conv(x, "b")]), "relu"),
        {"image": {}, "a": {}, "b": {}, "act": {"tail": 0}},
    ),
    "pooling": (lambda x: layers.MaxPooling2D(name="pool")(conv(x)), {"image": {}, "conv": {"tail": 0}}),
    "concatenated": (
        lambda x: layers.Concatenate(name="all")([conv(x, "a"), layers.MaxPooling2D(1)(conv(x, "b"))]),
        {"image": {}, "a": {"leads": False}, "b": {"leads": False}, "all": {"tail": 0}},
    ),
    "relu to one": (
        lambda x: conv(layers.ReLU(1.0, name="act")(conv(x, "a"))),
        {"image": {}, "act": {}, "conv": {"tail": 0}},
    ),
    "bytes": (
        lambda x: conv(layers.Rescaling(1 / 255, name="scaled")(x)),
        {"image": {}, "scaled": {}, "conv": {"tail": 0}},
    ),
}


def test_what_is_cut_off_before_a_concatenation_is_rounded_to_both_ranges():
    image = layers.Input((8, 8, 4))
    x = conv(image)
    cut, whole = layers.ReLU(0.7, name="cut")(x), layers.ReLU(name="whole")(x)
    rows = placed(keras.Model(image, conv(layers.Concatenate(name="both")([cut, whole]), "end")))
    rows = {operation.name: row for operation, row in rows.items()}
    (both, _), (own, _), (shared, how) = *rows["both"], *rows["cut"]
    assert own.fixed == (0.0, 0.7) and shared is both is rows["whole"][0][0] and how == {"leads": False}


@pytest.mark.parametrize("graph", GRAPHS)
def test_ranges_are_where_an_int8_file_has_them(graph):
    build, wanted = GRAPHS[graph]
    image = layers.Input((8, 8, 4), name="image", dtype="uint8" if graph == "bytes" else "float32")
    places = by_name(keras.Model(image, build(image)))
    assert {name: options for name, (_, options) in places.items()} == wanted
    fixed = {"sigmoid": (0.0, 255 / 256), "relu to one": (0.0, 1.0)}.get(graph)
    assert "act" not in places or places["act"][0].fixed == fixed
