"""The detectors by name: their figures, arguments and anchors."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.detection.anchors import Anchors
from cspkeras.registry import DETECTOR, NETWORKS

pytestmark = pytest.mark.usefixtures("unset_kernels")

ALL = {name: found.spec for name, found in NETWORKS.items() if found.kind == DETECTOR}
# The bytes of the published .weights files: a float each, after a header of 20 bytes.
FILES = {
    "YOLOv4": 257_717_640,
    "YOLOv4CSP": 211_944_840,
    "YOLOv4P5": 283_669_892,
    "YOLOv4P6": 510_868_180,
    "YOLOv4Tiny": 24_251_276,
    "YOLOv7Tiny": 24_967_560,
}
COUNTED = json.loads((Path(__file__).parents[3] / "docs/measured/counted.json").read_text())  # what the docs say
LARGE = [name for name, spec in ALL.items() if spec.published.trainable > 1e7]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else []) for n in ALL])
def test_parameters_and_bflops_are_the_published_ones(name):
    known = ALL[name].published
    model = cspkeras.get_detector(name)
    assert model.input_shape == (None, known.size, known.size, 3)
    cost = complexity(model)
    assert cost.trainable == known.trainable
    if name in FILES:
        assert 4 * model.count_params() + 20 == FILES[name]
    if bflops := known.counted or known.bflops:
        digits = len(str(bflops).partition(".")[2])
        assert round(cost.bflops, digits) == bflops
    found = {figure: getattr(cost, figure) for figure in ("trainable", "weights", "bflops", "cio")}
    assert COUNTED.get(name, found) == found, "write it anew: python docs/generate.py"


@pytest.mark.slow
def test_bflops_at_another_size():
    """As Darknet counts the cfg at 608."""
    model = cspkeras.CSPResNeXt50PANetSPP(input_shape=(608, 608, 3))
    assert round(complexity(model).bflops, 3) == 100.588


@pytest.mark.parametrize("name", ALL)
def test_the_arguments_are_documented(name):
    constructor, known = getattr(cspkeras, name), ALL[name].published
    defaults = {key: parameter.default for key, parameter in inspect.signature(constructor).parameters.items()}
    if ALL[name].anchors:
        expected = {"classes": 80, "input_shape": (known.size, known.size, 3), "anchors": None}
        expected |= {"sam": True, "spp": False} if name.endswith("EFM") else {}
    else:  # its bundled weights may have others
        expected = {"classes": None, "input_shape": None}
    expected |= {"weights": None, "skip_mismatch": False}
    assert {key: value for key, value in defaults.items() if key not in ("activation", "name")} == expected
    for text in (f"{known.trainable:,}", known.source, *(f"    {key}: " for key in defaults)):
        assert text in constructor.__doc__


def test_anchors_are_scaled_to_the_input_and_reach_as_far_as_published():
    model = cspkeras.YOLOv4Tiny(2, (96, 192, 3))
    expected = np.array([(23, 27), (37, 58), (81, 82), (81, 82), (135, 169), (344, 319)]) * [192 / 416, 96 / 416]
    np.testing.assert_allclose(model.anchors.pairs, expected, rtol=1e-6)
    assert model.anchors.scale_xy == (1.05, 1.05) and model.anchors.strides == (16, 32)


@pytest.mark.parametrize("given", [[(9, 9), (4, 4)], Anchors.of([(9, 9), (4, 4)], (64, 64), (16, 32), (1.2, 1.1))])
def test_own_anchors(given):
    model = cspkeras.YOLOv4Tiny(2, (64, 64, 3), anchors=given)
    assert model.anchors.boxes == (((4, 4),), ((9, 9),))
    assert model.anchors.scale_xy == getattr(given, "scale_xy", (1.05, 1.05))


@pytest.mark.integration
def test_yolov4s_activation_is_the_backbones():
    model = cspkeras.YOLOv4(2, (64, 64, 3))
    kinds = {layer.name.startswith("neck_"): set() for layer in model.layers}
    for layer in model.layers:
        if layer.name.endswith("_act"):
            kinds[layer.name.startswith("neck_")].add(type(layer).__name__)
    assert kinds == {False: {"Activation"}, True: {"LeakyReLU"}}
