"""Every neck: what it costs, the levels that it gives, its arguments, and that it fits every backbone."""

import keras
import numpy as np
import pytest
from keras import layers

import cspkeras
from cspkeras.analysis import complexity
from cspkeras.detection.necks import NECKS
from cspkeras.layers import Maxout
from cspkeras.registry import NETWORKS

TWO, THREE = ("P4", "P5"), ("P3", "P4", "P5")
# The neck's name, its options, its levels, and BFLOPs with CSPPeleeNet at 416 and 80 classes: ours, the paper's.
KINDS = {
    "efm": ("efm", {}, THREE, 4.869, 4.868),
    "efm sam": ("efm", {"sam": True}, THREE, 5.080, 5.068),
    "efm spp": ("efm", {"spp": True}, THREE, 4.864, 4.863),
    "gfm": ("gfm", {}, THREE, 4.605, 4.605),
    "prn": ("prn", {}, TWO, 3.590, 3.590),
    "prn 3l": ("prn", {"levels": 3}, THREE, 4.586, 4.586),
    "fpn": ("fpn", {}, THREE, None, None),
    "fpn_tiny": ("fpn_tiny", {}, TWO, None, None),
    "pafpn": ("pafpn", {}, THREE, None, None),
    "panet_spp": ("panet_spp", {}, THREE, None, None),
}
SMALL = {"fpn": 64, "fpn_tiny": 64, "panet_spp": 64}  # widths that are quick to initialize; of the others the default


def backbone(name, size=None):
    size = size or 2 * NETWORKS[name].spec.stride
    return cspkeras.get_model(name, include_top=False, input_shape=(size, size, 3))


def check_fit(model, kinds):
    """Build and run necks upon a backbone; all maps are finite and have the stride of their level."""
    features = cspkeras.pyramid(model)
    side = model.input_shape[1]
    image = np.random.default_rng(0).random((1, side, side, 3), "float32")
    maps = keras.Model(model.input, list(features.values()))(image)
    inputs = {level: layers.Input(x.shape[1:]) for level, x in zip(features, maps, strict=True)}
    for kind in kinds:
        neck, options, levels, *_ = KINDS[kind]
        options = {"width": SMALL[neck], **options} if neck in SMALL else options
        outputs = NECKS[neck](inputs, **options)
        assert tuple(outputs) == levels
        found = keras.Model(list(inputs.values()), list(outputs.values()))(maps)
        for level, x, expected in zip(levels, found, outputs.values(), strict=True):
            assert tuple(x.shape) == (1, *expected.shape[1:])
            assert x.shape[1:3] == (side >> int(level[1]), side >> int(level[1]))
            assert np.isfinite(np.asarray(x)).all() and np.asarray(x).any()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("CSPDarknet53Tiny", ("efm spp", "prn 3l", "fpn_tiny", "pafpn")),
        ("CSPMobileNetV2", ("efm sam", "gfm", "prn", "fpn", "panet_spp")),
    ],
)
def test_necks_fit_backbones(name, kinds):
    check_fit(backbone(name), kinds)


@pytest.mark.slow
@pytest.mark.parametrize("name", cspkeras.list_models())
def test_every_neck_fits_every_backbone(name):
    check_fit(backbone(name), KINDS)


@pytest.fixture(scope="module")
def peleenet():
    return backbone("CSPPeleeNet", 416)


@pytest.mark.parametrize("kind", [kind for kind, (*_, published) in KINDS.items() if published])
def test_bflops_are_those_of_the_paper(peleenet, kind):
    neck, options, _, ours, published = KINDS[kind]
    bflops = complexity(cspkeras.Detector(peleenet, neck, 80, neck_options=options)).bflops
    assert f"{bflops:.3f}" == f"{ours:.3f}"
    assert bflops == pytest.approx(published, rel=3e-3)


LEVELS = {"P2": (32, 24), "P3": (16, 40), "P4": (8, 96), "P5": (4, 40)}  # side, channels


@pytest.fixture
def pyramid():
    return {level: layers.Input((side, side, channels), name=level) for level, (side, channels) in LEVELS.items()}


@pytest.mark.parametrize(
    ("neck", "options", "multiple", "levels"),
    [
        ("efm", {}, 32, "P2 to P5"),
        ("gfm", {}, 16, "P3 to P5"),
        ("prn", {}, 8, "P4 to P5"),
        ("prn", {"levels": 3}, 8, "P3 to P5"),
        ("fpn", {}, 16, "P3 to P5"),
        ("fpn_tiny", {}, 8, "P4 to P5"),
        ("panet_spp", {}, 16, "P3 to P5"),
    ],
)
def test_wrong_arguments_are_named(pyramid, neck, options, multiple, levels):
    for width in (0, multiple // 2, 3 * multiple // 2):
        with pytest.raises(ValueError, match=f"width must be a multiple of {multiple}. Received: width={width}"):
            NECKS[neck](pyramid, **options, width=width)
    with pytest.raises(ValueError, match=f"{neck} needs the pyramid levels {levels}. Missing: P4$"):
        NECKS[neck]({level: x for level, x in pyramid.items() if level != "P4"}, **options)
    with pytest.raises(ValueError, match="Received: activation='gelu'"):
        NECKS[neck](pyramid, **options, activation="gelu")


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
