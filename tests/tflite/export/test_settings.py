"""The settings that a file carries, of each kind of model."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.classification.imagenet import preprocess_input
from cspkeras.tflite.export.settings import file_labels, file_settings


def classifier(activation="softmax", units=3, shape=(8, 8, 3), first=()):
    return keras.Sequential([keras.Input(shape), *first, layers.Flatten(), layers.Dense(units, activation)], name="own")


def settings_of(model, labels=("a", "b", "c"), layout="darknet", **options):
    return file_settings(model, "int8", labels, layout, **options)


INPUT = dict(height=8, width=8, colors="RGB", mean=0.0, scale=1 / 255, resize="crop", fill=0)


@pytest.mark.parametrize(
    ("model", "options", "changes"),
    [
        (dict(), {}, {}),
        (dict(activation="sigmoid"), {}, dict(scores="sigmoid", score_threshold=0.5)),
        (dict(activation=None), {}, dict(scores="logits")),
        (dict(activation="tanh"), dict(scores="sigmoid"), dict(scores="sigmoid", score_threshold=0.5)),
        (dict(first=[layers.Rescaling(1 / 255)]), {}, dict(scale=1.0)),
        (dict(), dict(mean=127.5, scale=1 / 127.5), dict(mean=127.5, scale=1 / 127.5)),
        (dict(first=[layers.Rescaling(1 / 255)]), dict(scale=1 / 255), {}),
        (dict(), dict(mean=[1, 2, 3]), dict(mean=[1.0, 2.0, 3.0], scale=1.0)),
        (dict(shape=(8, 8, 1)), {}, dict(colors="gray")),
    ],
)
def test_a_classifiers_settings(model, options, changes):
    found = json.loads(json.dumps(settings_of(classifier(**model), **options)))
    expected = dict(task="classification", model="own", precision="int8", scores="softmax", score_threshold=0.0)
    expected |= {"input": INPUT | {key: value for key, value in changes.items() if key in INPUT}}
    assert found == expected | {key: value for key, value in changes.items() if key not in INPUT}


def test_the_layout_timm():
    how = settings_of(classifier(), layout="timm")["input"]
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3))
    taken = (pixels - np.array(how["mean"])) * np.array(how["scale"])
    np.testing.assert_allclose(taken, preprocess_input(pixels, layout="timm"), rtol=1e-4, atol=1e-5)


def test_a_detectors_settings(detector):
    in_file, by_host = (settings_of(detector, None, decode=decode) for decode in ("file", "host"))
    assert in_file["boxes"] == "cyxhw" and "decode" not in in_file
    assert by_host["boxes"] == "raw" and in_file["input"] == by_host["input"]
    decode = json.loads(json.dumps(by_host["decode"]))
    anchors = detector.anchors
    assert decode["coding"] == anchors.coding
    assert [level["stride"] for level in decode["levels"]] == list(anchors.strides)
    assert [level["scale_xy"] for level in decode["levels"]] == list(anchors.scale_xy)
    np.testing.assert_allclose([pair for level in decode["levels"] for pair in level["anchors"]], anchors.pairs)
    height, width = anchors.size
    cells = [
        height // level["stride"] * (width // level["stride"]) * len(level["anchors"]) for level in decode["levels"]
    ]
    assert sum(cells) == len(anchors.grid().sizes)


def test_other_models_have_none():
    image = keras.Input((8, 8, 3))
    assert settings_of(keras.Model(image, layers.Conv2D(2, 1)(image)), None) is None
    assert settings_of(classifier(), None) is None


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (dict(), dict(labels=["a"]), "labels name the classes of a classifier. Received: 1 labels"),
        (dict(shape=(4,)), {}, r"labels name the classes of images, .* leave labels out"),
        (dict(activation="tanh"), {}, "scores="),
        (
            dict(activation=None, units=1),
            dict(labels=["dog"]),
            r'end the model in keras.layers.Activation\("sigmoid"\)',
        ),
        (dict(), dict(decode="host"), 'decode="host" is for detectors'),
        (dict(), dict(decode="phone"), "decode must be one of file, host. Received: decode='phone'"),
        (dict(), dict(layout="onnx"), "layout must be one of darknet, timm, torch. R"),
        (
            dict(),
            dict(labels=None, mean=1.0),
            "only a classifier's file, which has labels, says that. Received: mean=1.0",
        ),
    ],
)
def test_what_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        settings_of(classifier(**model), **options)


def test_a_detector_takes_its_own_pixels(detector):
    with pytest.raises(
        ValueError, match="a detector takes pixels in 0..1 and has scores of its own. Received: scale=1"
    ):
        settings_of(detector, None, scale=1)


def test_one_score_has_the_second_label():
    assert file_labels(classifier("sigmoid", 1), ("cat", "dog")) == ("dog",)
    assert file_labels(classifier("sigmoid", 1), ("dog",)) == ("dog",)
    assert file_labels(classifier(), ("a", "b", "c")) == ("a", "b", "c")
    assert file_labels(classifier(), None) is None
