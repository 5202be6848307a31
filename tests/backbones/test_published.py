"""Every published network, whole: its figures, its pyramid, its layers' order, its signature."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from keras import layers

from cspkeras import backbones
from cspkeras.analysis import complexity
from cspkeras.backbones import timm_layout
from cspkeras.backbones.pyramid import darknet_order
from cspkeras.registry import BACKBONE, NETWORKS

pytestmark = pytest.mark.usefixtures("unset_kernels")

COUNTED = json.loads((Path(__file__).parents[2] / "docs/measured/counted.json").read_text())  # what the docs say
VARIANTS = {name: network.spec for name, network in NETWORKS.items() if network.kind == BACKBONE}

# The published parameters of the DenseNets+Elastic are the trainable ones; the CSP one is not the published network.
OTHER_PARAMS = {"DenseNet201Elastic", "CSPDenseNet201Elastic"}
CIO = {"ResNeXt50": 34_413_496, "CSPResNeXt50": 32_644_024}
# The costliest layer at 416x416 and its BFLOPs (the paper's computational bottleneck).
COSTLIEST = {"PeleeNet": ("stage1_transition", 0.3544), "CSPPeleeNet": ("stage1_part2_transition", 0.1994)}
CFGS = {name: spec.published.cfg for name, spec in VARIANTS.items() if spec.published.cfg}
NOT_KEPT = {"csdarknet53-elastic", "csresnext50-elastic", "mobilenet-v2", "resnet10"}  # not among the test data
OPTIONS = {"fusion": "csp", "gamma": 0.5, "se": False}  # of the CSP networks whose family has them


# Some seven hundred layers each; and of the CS3 networks and CSPNeXt all but the smallest of a kind.
LARGE = {name for name in VARIANTS if "DenseNet" in name or ("CS3" in name or "NeXt" in name) and name[-1] in "MLX"}
PARAMS = [pytest.param(name, marks=pytest.mark.integration if name in LARGE else []) for name in VARIANTS]


@pytest.fixture(scope="module", params=PARAMS)
def built(request, unset_kernels):
    """(name, model) of every variant, built once for all tests that take it."""
    return request.param, getattr(backbones, request.param)()


def test_parameters_and_bflops_are_the_published_ones(built):
    variant, model = built
    published, cost = VARIANTS[variant].published, complexity(model)
    assert cost.trainable == published.trainable
    if published.params and variant not in OTHER_PARAMS:
        assert round(cost.weights / 1e6, 2) == published.params
    bflops = published.counted or published.bflops
    digits = len(str(bflops).partition(".")[2])
    assert round(cost.bflops, digits) == bflops
    assert cost.cio == CIO.get(variant, cost.cio)
    found = {figure: getattr(cost, figure) for figure in ("trainable", "weights", "bflops", "cio")}
    assert COUNTED.get(variant, found) == found, "write it anew: python docs/generate.py"


def test_every_level_of_the_pyramid_has_its_stride_and_channels(built):
    variant, model = built
    levels, size = backbones.pyramid(model), VARIANTS[variant].published.size
    row = VARIANTS[variant].published.pyramid
    channels = dict(enumerate(row, 6 - len(row)))
    assert list(levels) == [f"P{k}" for k in channels]
    assert [x.shape[1:] for x in levels.values()] == [(size >> k, size >> k, c) for k, c in channels.items()]
    assert levels["P5"] is model.get_layer("top_pool").input


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_arguments_are_those_of_keras_applications_and_are_documented(variant):
    constructor = getattr(backbones, variant)
    defaults = {name: parameter.default for name, parameter in inspect.signature(constructor).parameters.items()}
    published, family = VARIANTS[variant].published, inspect.signature(NETWORKS[variant].family.build).parameters
    expected = {
        "include_top": True,
        "weights": None,
        "input_tensor": None,
        "input_shape": (published.size, published.size, 3),
        "pooling": None,
        "classes": 1000,
        "classifier_activation": "softmax",
        "activation": family["activation"].default,
        **{name: default for name, default in OPTIONS.items() if name in family and variant.startswith("CSP")},
        **({"activation": None} if variant == "PeleeNet" else {}),  # the layout's
        **({"layout": None} if variant == "PeleeNet" or variant in timm_layout.VARIANTS else {}),
        "skip_mismatch": False,
        "name": variant.lower(),
    }
    assert defaults == expected and list(defaults) == list(expected)
    example = f">>> model = cspkeras.{variant}(input_shape=(64, 64, 3), classes=3)"
    for text in (f"{published.trainable:,}", published.source, *(f"    {name}: " for name in expected), example):
        assert text in constructor.__doc__


def convolutions_of(cfg):
    """(filters, kernel, input channels a filter sees) of a cfg's convolutions, in its order."""
    sections = []
    for line in cfg.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            sections.append({"kind": line.strip("[]")})
        elif line:
            key, value = map(str.strip, line.split("="))
            sections[-1][key] = value
    found, outputs, channels = [], [], 3
    for index, section in enumerate(sections[1:]):
        groups = int(section.get("groups", 1))
        if section["kind"] == "convolutional":
            found.append((int(section["filters"]), int(section["size"]), channels // groups))
            channels = int(section["filters"])
        elif section["kind"] == "route":
            sources = [int(number) for number in section["layers"].split(",")]
            channels = sum(outputs[n + index if n < 0 else n] for n in sources) // groups
        outputs.append(channels)
    return found


def signature(layer):
    """(filters, kernel, input channels a filter sees) of a layer."""
    if isinstance(layer, layers.Dense):
        return layer.units, 1, layer.kernel.shape[0]
    if isinstance(layer, layers.DepthwiseConv2D):
        return layer.output.shape[-1], layer.kernel.shape[0], 1
    return layer.filters, layer.kernel.shape[0], layer.kernel.shape[2]


@pytest.mark.slow
@pytest.mark.parametrize("variant", [name for name, cfg in CFGS.items() if cfg not in NOT_KEPT])
def test_the_convolutions_come_in_the_order_of_the_cfg(variant, test_data):
    cfg = test_data / "darknet_cfg" / f"{CFGS[variant]}.cfg"
    model = getattr(backbones, variant)(input_shape=(64, 64, 3))
    assert [signature(layer) for layer in darknet_order(model)] == convolutions_of(cfg)


@pytest.mark.slow
def test_no_cfg_among_the_test_data_is_left_out(test_data):
    assert {cfg for cfg in CFGS.values() if not (test_data / "darknet_cfg" / f"{cfg}.cfg").exists()} == NOT_KEPT


@pytest.mark.integration
@pytest.mark.parametrize("variant", COSTLIEST)
def test_the_costliest_layer_at_416(variant):
    layer, bflops = complexity(getattr(backbones, variant)(input_shape=(416, 416, 3), include_top=False)).costliest
    assert (layer, round(bflops, 4)) == COSTLIEST[variant]


@pytest.mark.integration
def test_peleenets_published_bflops_count_average_pooling():
    model = backbones.PeleeNet()
    pools = [layer for layer in model.layers if isinstance(layer, layers.AveragePooling2D)]
    pooling = sum(2 * 2 * np.prod(layer.output.shape[1:]) for layer in pools) / 1e9
    assert round(complexity(model).bflops + pooling, 3) == VARIANTS["PeleeNet"].published.bflops


@pytest.mark.slow
@pytest.mark.parametrize("variant, params", [("DenseNet201Elastic", 19.48), ("CSPDenseNet201Elastic", 20.05)])
def test_the_elastic_densenets_by_their_authors_rule(variant, params):
    model = getattr(backbones, variant)()
    total = 0
    for layer in model.layers:
        elements = np.prod(layer.output.shape[1:])
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            total += np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1])
        elif isinstance(layer, layers.Activation):
            total += elements
        elif isinstance(layer, layers.BatchNormalization):
            total += 2 * elements
        elif isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D)):
            total += np.prod(layer.input.shape[1:])
    assert round(2 * total / 1e9, 2) == VARIANTS[variant].published.bflops
    assert round(sum(np.prod(weight.shape) for weight in model.trainable_weights) / 1e6, 2) == params


@pytest.mark.integration
@pytest.mark.parametrize("variant, params", [("PeleeNet", 2.81), ("CSPPeleeNet", 2.85)])
def test_squeeze_and_excitation_adds_what_was_published(variant, params):
    from cspkeras.backbones import peleenet

    cost, published = complexity(peleenet.build(VARIANTS[variant], se=True)), VARIANTS[variant].published
    assert round(cost.weights / 1e6, 2) == params
    assert round(cost.bflops, 3) == round(published.counted or published.bflops, 3)
