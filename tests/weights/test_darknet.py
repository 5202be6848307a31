"""Darknet cfgs as Keras models, held against Darknet written in NumPy and against another framework's answers."""

import re
import runpy
import struct

import keras
import numpy as np
import numpy_darknet
import pytest
from numpy_darknet import CLASSIFIER, DETECTOR, EVERYTHING, conv, save

from cspkeras import from_darknet
from cspkeras.analysis import complexity

NETWORKS = {
    "batch-norm": [conv(6, 3, batch_normalize=1), conv(5, 1)],
    "default activation": [("convolutional", dict(filters=3))],
    "stride 2": [conv(4, 3, stride=2), conv(4, 5, stride=2)],
    "stride 2 of 7x7": [conv(4, 7, stride=2)],
    "no padding": [("convolutional", dict(filters=4, size=3, activation="linear"))],
    "own padding": [("convolutional", dict(filters=4, size=3, padding=2, stride=2, activation="linear"))],
    "even kernel": [conv(4, 2), conv(4, 4, stride=2)],
    "dilation": [conv(4, 3, dilation=2), ("convolutional", dict(filters=3, size=3, dilation=2, activation="linear"))],
    "groups": [conv(8), conv(12, 3, groups=4, batch_normalize=1), conv(6, 3, groups=2, stride=2)],
    "depthwise": [conv(6), conv(6, 3, groups=6, batch_normalize=1), conv(12, 3, groups=6, stride=2)],
    "route": [conv(4), conv(6), ("route", dict(layers=(-1, 0))), ("route", dict(layers=(-2,))), conv(3)],
    "route of groups": [conv(4), conv(6), ("route", dict(layers=(-1, -2), groups=2, group_id=1)), conv(3)],
    "shortcut": [conv(4), conv(4), ("shortcut", {"from": -2, "activation": "leaky"})],
    "shortcut of fewer channels": [conv(4), conv(6), ("shortcut", {"from": 0})],
    "shortcut of more channels": [conv(6), conv(4), ("shortcut", {"from": -2})],
    "shortcut across resolutions": [conv(6), conv(4, 3, stride=2), ("shortcut", {"from": -2, "activation": "relu"})],
    "maxpool": [conv(4), ("maxpool", dict(size=2, stride=2)), ("maxpool", dict(size=3, stride=1))],
    "maxpool of stride 1": [conv(4), ("maxpool", dict(size=2, stride=1)), ("maxpool", dict(size=13))],
    "maxpool of 3 by 2": [conv(4, activation="linear"), ("maxpool", dict(size=3, stride=2))],
    "maxpool without padding": [conv(4), ("maxpool", dict(size=3, stride=2, padding=0))],
    "maxpool of channels": [conv(12), ("maxpool", dict(maxpool_depth=1, out_channels=4))],
    "local average": [conv(4), ("local_avgpool", dict(size=3, stride=2)), ("local_avgpool", dict(size=2, stride=2))],
    "global average": [conv(4), ("avgpool", {}), conv(3)],
    "upsample": [conv(4, 3, stride=2), ("upsample", dict(stride=2)), ("upsample", {"stride": 3})],
    "reorg": [conv(8, 3, stride=2), ("upsample", dict(stride=2)), ("reorg", dict(stride=2))],
    "sam": [conv(4), conv(4, activation="logistic"), ("sam", {"from": -2})],
    "scale_channels": [conv(4), ("avgpool", {}), conv(4, activation="logistic"), ("scale_channels", {"from": 0})],
    "connected": [
        conv(4, 3, stride=2),
        ("connected", dict(output=5, batch_normalize=1, activation="leaky")),
        ("dropout", dict(probability=0.5)),
        ("connected", dict(output=3, activation="linear")),
    ],
    **{activation: [conv(4, 3, activation)] for activation in numpy_darknet.ACTIVATIONS},
}


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 7)])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_sections_compute_what_darknet_does(tmp_path, network, height, width):
    cfg, weights, image, outputs = save(tmp_path, network, height, width)
    out = from_darknet(cfg, weights)(image, training=False)
    assert out.shape == outputs[-1].shape
    np.testing.assert_allclose(out, outputs[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, lambda x: np.exp(x) / np.exp(x).sum()),
        ({"classifier_activation": None}, lambda x: x),
        ({"classifier_activation": "sigmoid"}, lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_a_classifier_gives_its_classes(tmp_path, options, function):
    cfg, weights, image, outputs = save(tmp_path, CLASSIFIER)
    out = from_darknet(cfg, weights, **options).predict(image, verbose=0)
    np.testing.assert_allclose(out, function(outputs[4].reshape(1, 5)), rtol=1e-4, atol=1e-6)


def test_a_detector_gives_the_maps_that_its_heads_read(tmp_path):
    cfg, weights, image, outputs = save(tmp_path, DETECTOR)
    heads = from_darknet(cfg, weights).predict(image, verbose=0)
    assert isinstance(heads, list)
    for head, expected in zip(heads, (outputs[1], outputs[5]), strict=True):
        np.testing.assert_allclose(head, expected, rtol=1e-4, atol=1e-5)


def test_yolov2_gives_the_map_that_its_region_reads(tmp_path):
    """As yolov2.cfg ends: an earlier map is reorganized and joined; its weights have the older, shorter header."""
    network = [
        *(conv(8, 3, batch_normalize=1), ("maxpool", dict(size=2, stride=2)), conv(16, 3, batch_normalize=1)),
        *(("route", dict(layers=(-3,))), conv(4, batch_normalize=1), ("reorg", dict(stride=2))),
        *(("route", dict(layers=(-1, -4))), conv(14, activation="linear")),
        ("region", dict(anchors="1.3,1.7, 3.2,4.0", num=2, classes=2, coords=4, softmax=1, bias_match=1)),
    ]
    cfg, weights, image, outputs = save(tmp_path, network)
    weights.write_bytes(struct.pack("<4i", 0, 1, 0, 64) + weights.read_bytes()[20:])
    found = from_darknet(cfg, weights)(image, training=False)
    np.testing.assert_allclose(found, outputs[7], rtol=1e-4, atol=1e-5)


def test_layers_are_called_by_their_numbers(tmp_path):
    path = tmp_path / "Tiny-v2 (1).cfg"
    path.write_text(numpy_darknet.cfg_text(CLASSIFIER, 8, 8))
    model = from_darknet(path)
    assert model.name == "Tiny_v2__1_"
    assert [layer.name for layer in model.layers][:6] == [
        *("image", "layer0_pad", "layer0_conv", "layer0_bn", "layer0_act", "layer1_conv")
    ]


def test_a_model_is_saved_and_loaded_safely(tmp_path):
    network = [*EVERYTHING, ("connected", dict(output=3, activation="hard_mish"))]
    cfg, weights, image, _ = save(tmp_path, network)
    model = from_darknet(cfg, weights)
    model.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded(image), model(image))


@pytest.mark.integration
def test_a_model_trains_in_half_precision(tmp_path):
    cfg, weights, image, _ = save(tmp_path, CLASSIFIER)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = from_darknet(cfg, weights)
    finally:
        keras.config.set_dtype_policy("float32")
    before = model.get_layer("layer1_conv").get_weights()[0]
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    history = model.fit(image.repeat(2, axis=0), np.array([0, 3]), epochs=4, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert (model.get_layer("layer1_conv").get_weights()[0] != before).any()


PUBLISHED = {  # trainable parameters, BFLOPs, bytes of the .weights file; None where nothing was published
    "csdarknet53": (27_642_184, 13.0673, 110_710_068),
    "csdarknet53-panet-spp": (None, None, None),
    "csmobilenet-v2": (2_541_424, 0.7636, None),
    "csresnet50": (21_607_848, 8.9684, 86_592_180),
    "csresnet50-elastic": (29_848_360, 9.3643, None),
    "csresnet50-panet-spp": (None, None, None),
    "csresnext50": (20_557_480, 7.9303, 82_459_316),
    "csresnext50-panet-spp-original-optimal": (None, 71.3, None),
    "darknet53": (41_609_928, 18.5702, None),
    "densenet201": (17_173_160, 10.85, None),
    "resnet50": (22_780_456, 10.0, None),  # 9.7422 with the pooling before the classifier, as the paper counts it
    "resnext50": (22_252_328, 10.1113, None),
    "yolov3-tiny-prn": (None, None, None),
    "yolov4": (None, None, 257_717_640),
    "yolov4-csp": (None, None, None),
    "yolov4-tiny": (None, None, 24_251_276),
}
TRAINED_OTHERWISE = {"csdarknet53-omega": "csdarknet53", "csresnext50-gamma": "csresnext50"}  # of the same weights


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cfgs_are_counted(test_data, name, unset_kernels):
    trainable, bflops, size = PUBLISHED[name]
    model = from_darknet(test_data / "darknet_cfg" / f"{name}.cfg")
    counted = complexity(model)
    if trainable:
        assert counted.trainable == trainable
    if bflops:
        digits = len(str(bflops).partition(".")[2])
        assert round(counted.bflops, digits) == bflops
    if size:
        assert 20 + 4 * model.count_params() == size


def test_what_is_trained_otherwise_has_the_same_weights(test_data):
    def network_of(name):
        text = (test_data / "darknet_cfg" / f"{name}.cfg").read_text()
        lines = [line.partition("#")[0].replace(" ", "").rstrip() for line in text.splitlines()]
        return [line for line in lines[lines.index("[convolutional]") :] if line and "activation" not in line]

    for name, same in TRAINED_OTHERWISE.items():
        assert network_of(name) == network_of(same)


@pytest.mark.slow
def test_no_published_cfg_is_left_out(test_data):
    assert {path.stem for path in (test_data / "darknet_cfg").glob("*.cfg")} == {*PUBLISHED, *TRAINED_OTHERWISE}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["csdarknet53", "csresnet50", "csresnext50-panet-spp-original-optimal", "densenet201", "yolov4-tiny"]
)
def test_published_networks_answer_as_in_another_framework(test_data, tmp_path, name):
    synthetic = runpy.run_path(str(test_data / "goldens" / "synthetic.py"))
    golden = np.load(test_data / "goldens" / "darknet" / f"{name}.npz")
    text = (test_data / "darknet_cfg" / f"{name}.cfg").read_text()
    cfg, weights = tmp_path / f"{name}.cfg", tmp_path / f"{name}.weights"
    cfg.write_text(re.sub(r"(?m)^(width|height)\s*=\s*\d+", r"\1=128", text))
    synthetic["write_darknet"](cfg, weights)
    heads = [key for key in golden.files if key.startswith("permute")]
    logits = [key for key in golden.files if key.startswith("conv")]
    model = from_darknet(cfg, weights, classifier_activation=None if logits else "softmax")
    out = model.predict(synthetic["photo"](128).transpose(0, 2, 3, 1), verbose=0)
    out = out if isinstance(out, list) else [out]
    expected = [golden[key] for key in heads] or [golden[key].reshape(1, -1) for key in logits or golden.files[:1]]
    for one, other in zip(out, expected, strict=True):
        assert np.abs(one - other).max() <= 3e-4 * np.abs(other).max()
