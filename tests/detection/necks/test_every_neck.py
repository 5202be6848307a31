"""Every neck: what it costs, the levels that it gives, its arguments, and that it fits every backbone."""

import json
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import LARGER, build_kind

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.detection.necks import NECKS
from cspkeras.layers import Maxout
from cspkeras.registry import NETWORKS

# A backbone of each: its maps' channels.
PYRAMIDS = {NETWORKS[name].spec.published.pyramid: name for name in cspkeras.list_models() if name not in LARGER}
TWO, THREE, FOUR = ("P4", "P5"), ("P3", "P4", "P5"), ("P2", "P3", "P4", "P5")


class Kind(NamedTuple):
    """A neck with options.

    Attributes:
        neck: its name.
        options: its options, but for the width.
        needs, gives: the levels that it takes and returns.
        multiple: what its width must be a multiple of; None where it has no width.
        narrow: a width that is quick to initialize, None for the default.
        counted, published: BFLOPs with CSPPeleeNet at 416 and 80 classes: ours, the paper's.
    """

    neck: str
    options: dict
    needs: tuple
    gives: tuple
    multiple: int | None
    narrow: int | None = None
    counted: float | None = None
    published: float | None = None


KINDS = {
    "efm": Kind("efm", {}, FOUR, THREE, 32, counted=4.869, published=4.868),
    "efm sam": Kind("efm", {"sam": True}, FOUR, THREE, 32, counted=5.080, published=5.068),
    "efm spp": Kind("efm", {"spp": True}, FOUR, THREE, 32, counted=4.864, published=4.863),
    "gfm": Kind("gfm", {}, THREE, THREE, 16, counted=4.605, published=4.605),
    "prn": Kind("prn", {}, TWO, TWO, 8, counted=3.590, published=3.590),
    "prn 3l": Kind("prn", {"levels": 3}, THREE, THREE, 8, counted=4.586, published=4.586),
    "fpn": Kind("fpn", {}, THREE, THREE, 16, narrow=64),
    "fpn_tiny": Kind("fpn_tiny", {}, TWO, TWO, 8, narrow=64),
    "cspnext_pafpn": Kind("cspnext_pafpn", {}, THREE, THREE, None),
    "pafpn": Kind("pafpn", {}, THREE, THREE, None),
    "pafpn depthwise": Kind("pafpn", {"depthwise": True}, THREE, THREE, None),
    "csp_panet": Kind("csp_panet", {}, THREE, THREE, None),
    "elan_panet": Kind("elan_panet", {}, THREE, THREE, None),
    "panet_spp": Kind("panet_spp", {}, THREE, THREE, 16, narrow=64),
}


def narrow(kind):
    """The options of a kind, with its narrow width."""
    return kind.options | ({"width": kind.narrow} if kind.narrow else {})


def test_every_neck_has_a_kind():
    assert {kind.neck for kind in KINDS.values()} == set(NECKS)


def backbone(name, size=None):
    size = size or 2 * NETWORKS[name].spec.stride
    return cspkeras.get_model(name, include_top=False, input_shape=(size, size, 3))


def check_fit(features, side, kinds):
    """Build and run necks upon a pyramid; all maps are finite and have the stride of their level."""
    inputs, maps = {level: layers.Input(x.shape[1:]) for level, x in features.items()}, list(features.values())
    for kind in map(KINDS.get, kinds):
        outputs = NECKS[kind.neck](inputs, **narrow(kind))
        assert tuple(outputs) == kind.gives
        found = keras.Model(list(inputs.values()), list(outputs.values()))(maps)
        for level, x, expected in zip(kind.gives, found, outputs.values(), strict=True):
            assert tuple(x.shape) == (1, *expected.shape[1:])
            assert x.shape[1:3] == (side >> int(level[1]), side >> int(level[1]))
            assert np.isfinite(np.asarray(x)).all() and np.asarray(x).any()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("CSPDarknet53Tiny", ("efm spp", "prn 3l", "fpn_tiny", "pafpn")),
        ("CSPMobileNetV2", ("efm sam", "gfm", "prn", "fpn", "panet_spp")),
    ],
)
def test_necks_fit_backbones(name, kinds):
    model, image = backbone(name), np.random.default_rng(0).random((1, 64, 64, 3), "float32")
    levels = cspkeras.pyramid(model)
    maps = keras.Model(model.input, list(levels.values()))(image)
    check_fit(dict(zip(levels, maps, strict=True)), 64, kinds)


@pytest.mark.slow
@pytest.mark.parametrize("channels", sorted(PYRAMIDS), ids=lambda channels: PYRAMIDS[channels])
def test_every_neck_fits_every_backbone(channels):
    """Upon maps of its published channels, which are those of the network, see tests/backbones/test_published.py."""
    rng, first = np.random.default_rng(0), 6 - len(channels)
    sides = {level: 64 >> level for level in range(first, 6)}
    maps = {f"P{k}": rng.random((1, side, side, channels[k - first]), "float32") for k, side in sides.items()}
    check_fit(maps, 64, KINDS)


@pytest.fixture(scope="module")
def peleenet():
    return backbone("CSPPeleeNet", 416)


@pytest.mark.integration
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.published])
def test_bflops_are_those_of_the_paper(peleenet, name):
    kind = KINDS[name]
    bflops = complexity(cspkeras.Detector(peleenet, kind.neck, 80, neck_options=kind.options)).bflops
    assert f"{bflops:.3f}" == f"{kind.counted:.3f}"
    assert bflops == pytest.approx(kind.published, rel=3e-3)


@pytest.mark.integration
@pytest.mark.parametrize("name", KINDS)
def test_a_detector_is_rebuilt_from_its_configuration(name):
    backbone = build_kind("darknet tiny", include_top=False)
    model = cspkeras.Detector(backbone, KINDS[name].neck, 2, neck_options=narrow(KINDS[name]))
    again = cspkeras.Detector.from_config(json.loads(json.dumps(model.get_config())))
    assert again.anchors == model.anchors
    assert {**again.get_config(), "backbone": None} == {**model.get_config(), "backbone": None}
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((1, 64, 64, 3), "float32")
    for found, expected in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(found, expected)


LEVELS = {"P2": (32, 24), "P3": (16, 40), "P4": (8, 96), "P5": (4, 40)}  # side, channels


@pytest.fixture
def pyramid():
    return {level: layers.Input((side, side, channels), name=level) for level, (side, channels) in LEVELS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_wrong_arguments_are_named(pyramid, name):
    kind = KINDS[name]
    multiple, build = kind.multiple, NECKS[kind.neck]
    for width in (0, multiple // 2, 3 * multiple // 2) if multiple else ():
        with pytest.raises(ValueError, match=f"width must be a multiple of {multiple}. Received: width={width}"):
            build(pyramid, **kind.options, width=width)
    levels = f"{kind.needs[0]} to {kind.needs[-1]}"
    with pytest.raises(ValueError, match=f"{kind.neck} needs the pyramid levels {levels}. Missing: P4$"):
        build({level: x for level, x in pyramid.items() if level != "P4"}, **kind.options)
    with pytest.raises(ValueError, match="Received: activation='gelu'"):
        build(pyramid, **kind.options, activation="gelu")


@pytest.mark.parametrize("levels", [1, 4, "3"])
def test_prn_has_two_or_three_levels(pyramid, levels):
    with pytest.raises(ValueError, match=f"levels must be 2 or 3. Received: levels={levels!r}"):
        NECKS["prn"](pyramid, levels=levels)


def test_channels_that_maxout_does_not_divide_are_widened_first(pyramid):
    neck = keras.Model(pyramid, NECKS["efm"](pyramid, width=128))
    widened = {x.name: x.output.shape[-1] for x in neck.layers if x.name.endswith("_widen")}
    # 96 to 64, 40 to 32 and to 16, 24 to 16 channels
    assert widened == {"neck_p4_widen": 128, "neck_p3_widen": 64, "neck_p3_own_widen": 48, "neck_p2_widen": 32}
    filters = {x.name: x.filters for x in neck.layers if isinstance(x, Maxout)}
    assert filters["neck_p4_maxout"] == 64 and filters["neck_p2_maxout"] == 16


def test_gfm_gives_every_scale_equal_shares_of_all(pyramid):
    neck = keras.Model(pyramid, NECKS["gfm"](pyramid, width=64))
    for level, side, share in (("p3", 16, 16), ("p4", 8, 32), ("p5", 4, 64)):
        shares = [x.shape[1:] for x in neck.get_layer(f"neck_{level}_fusion_concat").input]
        assert shares == [(side, side, share)] * 3


def test_prn_adds_onto_the_first_channels_as_the_cfg(test_data):
    """yolov3-tiny-prn.cfg from its layer 12 on, with the same weights."""
    cfg = test_data / "darknet_cfg" / "yolov3-tiny-prn.cfg"
    published = cspkeras.from_darknet(cfg)
    p4, p5 = (published.get_layer(f"layer{k}_act").output for k in (8, 13))
    inputs = {"P4": layers.Input(p4.shape[1:], name="P4"), "P5": layers.Input(p5.shape[1:], name="P5")}
    neck = keras.Model(inputs, NECKS["prn"](inputs))
    for ours, index in (("p5_conv1", 14), ("p5_conv2", 15), ("p4_conv1", 20), ("p4_conv2", 23)):
        for mine, its in ((f"neck_{ours}", f"layer{index}_conv"), (f"neck_{ours}_bn", f"layer{index}_bn")):
            neck.get_layer(mine).set_weights(published.get_layer(its).get_weights())
    wanted = [p4, p5, *(published.get_layer(f"layer{k}_conv").input for k in (26, 17))]
    x = np.random.default_rng(0).random((1, 416, 416, 3), "float32")
    *features, fine, coarse = keras.Model(published.input, wanted)(x)
    found = neck(dict(zip(inputs, features, strict=True)))
    np.testing.assert_allclose(found["P4"], fine, atol=1e-5)
    np.testing.assert_allclose(found["P5"], coarse, atol=1e-5)
