"""Every structure as a file, on the GPU whole: all in float16, some in five precisions.

docs/measured/files.json has whole networks.
"""

import json
from functools import partial
from pathlib import Path

import files
import keras
import numpy as np
import pytest
from norms import left_norms, lone_norms
from small_networks import KINDS as STRUCTURES
from small_networks import build_kind, small_backbone, small_rtmdet, small_yolox
from untrained import calibrate_norms

import cspkeras
from cspkeras.tflite import convert

ROOT = Path(__file__).parents[3]
SIDE = 64
KINDS = "float32", "float16", "dynamic", "int8 PTQ", "int8 QAT"
RATIOS = {"float16": 0.51, "int8 PTQ": 0.27, "int8 QAT": 0.27}  # of the float32 file's bytes, at most
SMALL_FILE = 5e6  # bytes; of less, names, operations and each channel's scale are a larger share
RELU6 = "CSPPeleeNet", "CSPMobileNetV2", "CSPDarknet53"
# These have the layers of most others between them: mish and the widest neck; both modern detectors.
FIVE = {
    "panet_spp, mish": lambda: detector(
        small_backbone("CSPDarknet53", include_top=False, activation="mish"), "panet_spp", width=32
    ),
    "YOLOX": small_yolox,
    "RTMDet": small_rtmdet,
}
TWO = {  # preactivation, groups, both resolutions, the other necks
    "CSPDenseNet201": lambda: small_backbone("CSPDenseNet201"),
    # At a side of 64 its smallest map is one pixel, and norms of that divide by next to nothing.
    "CSPResNeXt50Elastic": lambda: small_backbone("CSPResNeXt50Elastic", input_shape=(128, 128, 3)),
    "gfm": lambda: detector(build_kind("darknet tiny", include_top=False), "gfm", width=32),
    "efm, spp": lambda: detector(build_kind("darknet tiny", include_top=False), "efm", width=32, sam=True, spp=True),
}
INSIDE = (  # kinds of which those, or RELU6, have all layers
    *("pelee", "resnet basic", "resnext csp", "resnext elastic", "darknet csp", "darknet tiny", "densenet csp"),
    *("mobilenet csp", "cspnext"),
)
NECKS_LEFT = {"fpn": {"width": 32}, "prn": {"levels": 3}, "csp_panet": {}}
FLOAT16 = {
    **{kind: partial(build_kind, kind, classes=3) for kind in STRUCTURES if kind not in INSIDE},
    **{
        neck: lambda neck=neck, how=how: detector(build_kind("darknet tiny", include_top=False), neck, **how)
        for neck, how in NECKS_LEFT.items()
    },
    "YOLOv7Tiny": lambda: cspkeras.YOLOv7Tiny(3, (SIDE, SIDE, 3)),
}
ON_NPU = "CSPPeleeNet", "CSPPeleeNetEFM", "YOLOXNano", "CSPMobileNetV2", "CSPResNet50"  # wholly, as files of integers


def images_for(model):
    return np.random.default_rng(0).random((4, *model.input_shape[1:]), "float32")


def calibrate(model):
    return calibrate_norms(model, images_for(model))


def detector(backbone, neck, **options):
    return cspkeras.Detector(backbone, neck, 3, neck_options=options)


def calibrated(build):
    """A network, its norms calibrated."""
    keras.utils.set_random_seed(0)
    return calibrate(build())


def prove(model, folder, kinds):
    """Check a network's files; floats agree, and quantized values do but for what untrained layers make of rounding."""
    found = {}
    for kind, path, checked in files.prove(model, images_for(model), folder, kinds):
        assert checked.precision == files.PRECISIONS[kind]
        left, most = left_norms(path), 2 * len(lone_norms(model))  # in integers they are depthwise convolutions
        assert len(left) == most or (checked.precision == "int8" and len(left) < most), left
        found[kind] = checked
        if checked.gpu_delegated is None:
            pytest.skip(checked.gpu_note)
        assert checked.gpu_delegated, checked.table()
        if checked.precision in ("float32", "float16"):
            assert checked.faults == []
        else:
            assert checked.gpu_to_cpu.rms < 0.3, checked.table()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT16)
def test_a_structures_float16_file_is_delegated_whole(name, tmp_path):
    prove(calibrated(FLOAT16[name]), tmp_path, ["float16"])


@pytest.mark.slow
@pytest.mark.parametrize("name", FIVE)
def test_all_five_files_are_delegated_whole(name, tmp_path):
    prove(calibrated(FIVE[name]), tmp_path, KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO)
def test_the_smallest_and_the_quickest_are_delegated_whole(name, tmp_path):
    prove(calibrated(TWO[name]), tmp_path, ["float16", "int8 PTQ"])


@pytest.mark.slow
@pytest.mark.parametrize("name", RELU6)
def test_relu6_is_part_of_the_convolutions(name, tmp_path):
    model = calibrate(small_backbone(name, activation="relu6"))
    for checked in prove(model, tmp_path, ["float16", "int8 QAT"]).values():
        assert not [kind for kind in checked.operations if "RELU" in kind]


@pytest.mark.integration
def test_a_norm_without_a_convolution_is_reported(tmp_path):
    image = keras.Input((8, 8, 4))
    x = keras.layers.BatchNormalization(name="folded")(keras.layers.Conv2D(4, 1)(image))
    y = keras.layers.Add()([x, keras.layers.Activation("swish")(x)])
    model = keras.Model(image, keras.layers.BatchNormalization(name="lone")(y))
    calibrate(model)
    assert lone_norms(model) == ["lone"]
    assert len(left_norms(convert(model, tmp_path / "x.tflite"))) == 2


def test_the_files_of_the_docs_keep_their_bounds():
    networks = json.loads((ROOT / "docs/measured/files.json").read_text())["networks"]
    assert {"CSPPeleeNet", "CSPMobileNetV2", "YOLOXNano", "CSPPeleeNetEFM"} <= set(networks)
    for name, network in networks.items():
        found = network["files"]
        assert set(found) == set(KINDS)
        more = 0.01 if network["lone_norms"] else 0  # in integers each is a convolution, with scales and biases
        for kind, most in RATIOS.items() if found["float32"]["bytes"] > SMALL_FILE else ():
            assert round(found[kind]["bytes"] / found["float32"]["bytes"], 2) <= most + more, (name, kind)
        for kind, file in found.items():
            assert file["delegated"], (name, kind)
            lone = 0 if kind.startswith("int8") else network["lone_norms"]  # in integers: depthwise convolutions
            assert file["left_norms"] == 2 * lone, (name, kind)
    for name in ON_NPU:
        assert networks[name]["npu"]["left"] == [], name
