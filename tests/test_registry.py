"""Backbones and detectors by name."""

import pytest

import cspkeras
from cspkeras import backbones, detection
from cspkeras.registry import BACKBONE, DETECTOR, NETWORKS

NAMES = {kind: [name for name, found in NETWORKS.items() if found.kind == kind] for kind in (BACKBONE, DETECTOR)}


def test_names_are_listed_by_pattern():
    assert cspkeras.list_models() == sorted(NAMES[BACKBONE])
    assert cspkeras.list_models("*DenseNet201") == ["CSPDenseNet201", "DenseNet201"]
    assert cspkeras.list_models("csp*") == []
    assert cspkeras.list_detectors() == sorted(NAMES[DETECTOR])
    assert cspkeras.list_detectors("YOLO*[3S]") == ["YOLOXS", "YOLOv3"]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_its_constructor_in_the_package(name):
    package = {BACKBONE: backbones, DETECTOR: detection}[NETWORKS[name].kind]
    assert getattr(cspkeras, name) is getattr(package, name) is NETWORKS[name].build
    assert name in cspkeras.__all__ and name in package.__all__


@pytest.mark.integration
def test_a_backbone_by_its_name():
    model = cspkeras.get_model("CSPPeleeNet", input_shape=(32, 32, 3), classes=3, name="mine")
    expected = cspkeras.CSPPeleeNet(input_shape=(32, 32, 3), classes=3)
    assert (model.name, model.count_params()) == ("mine", expected.count_params())
    assert [layer.name for layer in model.layers] == [layer.name for layer in expected.layers]


def test_a_detector_by_its_name():
    model = cspkeras.get_detector("YOLOv4Tiny", classes=["a"], input_shape=(64, 32, 3), name="mine")
    assert (model.name, model.class_names) == ("mine", ("a",))
    assert [head.shape[1:] for head in model.outputs] == [(4, 2, 18), (2, 1, 18)]


@pytest.mark.parametrize("get", [cspkeras.get_model, cspkeras.get_detector])
@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("cspresnet50", "CSPResNet50, "),
        ("Darknet", "Darknet53"),
        ("yolov4", "YOLOv4, YOLOv4P6, YOLOv4P5"),
        ("zzz", "CS3DarknetFocusL"),
        (None, ""),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_ones_of_both_kinds(get, name, near):
    with pytest.raises(ValueError, match=rf"^name must be a network's name, such as {near}.* Received: name={name!r}$"):
        get(name)


@pytest.mark.parametrize(
    ("get", "message"),
    [
        (
            cspkeras.get_model,
            "name must be a backbone's name. Received: name='YOLOv4', a detector's; get_detector builds",
        ),
        (
            cspkeras.get_detector,
            "name must be a detector's name. Received: name='ResNet50', a backbone's; get_model builds",
        ),
    ],
)
def test_a_name_of_the_other_kind_is_an_error_that_says_what_builds_it(get, message):
    with pytest.raises(ValueError, match=f"^{message} it$"):
        get("YOLOv4" if get is cspkeras.get_model else "ResNet50")
