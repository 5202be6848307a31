"""The Detector as a model: its heads, its arguments, its file, its loss."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from cspkeras.backbones import pyramid
from cspkeras.blocks import conv_bn_act
from cspkeras.detection import CSPPeleeNetEFM, Detector, YOLOXNano
from cspkeras.detection.anchors import Anchors
from cspkeras.detection.losses.yolo import YoloLoss
from cspkeras.saving import load_detector

SIZE = (64, 96)
ANCHORS = Anchors.of([(6, 9), (10, 7), (14, 22), (30, 18), (40, 36), (70, 50)], SIZE)
CLASSES = 3


def tiny_backbone(size=SIZE, top=False):
    """Five strided convolutions with the names and strides of a backbone."""
    x = image = layers.Input((*size, 3))
    for name in ("stem", "stage1_conv", "stage2_conv", "stage3_conv", "stage4_conv"):
        x = conv_bn_act(x, 32, 3, strides=2, name=name)
    if top:
        x = layers.Dense(5, name="predictions")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x, name="tiny")


def tiny_detector(classes=CLASSES, neck="efm", size=SIZE, top=False, **options):
    options = {"anchors": ANCHORS, "neck_options": {"width": 32}, **options}
    return Detector(tiny_backbone(size, top), neck, classes, **options)


def test_raw_heads_and_detections_of_a_network(detector):
    images = np.random.default_rng(0).integers(256, size=(2, 50, 70, 3), dtype="uint8")
    heads = detector.predict_on_batch(np.zeros((2, 64, 64, 3), "float32"))
    assert [head.shape for head in heads] == [(2, side, side, 3 * (5 + 3)) for side in (4, 2)]
    for found in detector.detect(images, score_threshold=0.001):
        assert found["boxes"].shape == (len(found["scores"]), 4) and len(found["scores"]) > 0
        assert (found["boxes"] >= 0).all() and (found["boxes"] <= [70, 50, 70, 50]).all()
        assert (np.diff(found["scores"]) <= 0).all() and set(found["labels"]) <= {0, 1, 2}


def test_heads_lie_on_the_anchors_grid():
    model = tiny_detector(["a", "b"])
    assert [head.shape[1:] for head in model.outputs] == [(8, 12, 14), (4, 6, 14), (2, 3, 14)]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("classes", "names"),
    [(2, ("0", "1")), (np.int64(2), ("0", "1")), (["cat", "dog"], ("cat", "dog")), (np.array(["a"]), ("a",))],
    ids=str,
)
def test_classes_are_a_number_or_names(classes, names):
    model = tiny_detector(classes)
    assert model.class_names == names
    assert model.outputs[0].shape[-1] == 2 * (5 + len(names))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"neck": "none"},
            "neck must be one of csp_panet, cspnext_pafpn, efm, elan_panet, fpn, fpn_tiny, gfm, pafpn, panet_spp, prn. "
            "Received: neck='none'",
        ),
        ({"classes": 0}, "classes must be a positive number or a sequence of names. Received: classes=0"),
        ({"classes": -1}, "classes must be a positive number or a sequence of names. Received: classes=-1"),
        ({"classes": []}, "classes must be a positive number or a sequence of names. Received: classes=[]"),
        ({"classes": 2.5}, "classes must be a positive number or a sequence of names. Received: classes=2.5"),
        ({"classes": "cat"}, "classes must be a positive number or a sequence of names. Received: classes='cat'"),
        ({"anchors": [(1, 2)]}, "3 pairs of positive (width, height). Received: [(1.0, 2.0)]"),
        (
            {"anchors": Anchors.published((96, 64))},
            "anchors must be of the backbone's input size (64, 96). Received: anchors of (96, 64)",
        ),
        (
            {"anchors": Anchors.distances((64, 96))},
            "anchors of the coding 'distances' need a head without an objectness, 7 channels an anchor. Received: "
            "head='yolo', 8, 8, 8 channels",
        ),
        ({"activation": "gelu"}, "linear. Received: activation='gelu'"),
        ({"size": (None, 96)}, "a detector's backbone needs a fixed input size. Received: (None, None, 96, 3)"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_named_in_one_line(options, error):
    with pytest.raises(ValueError) as caught:
        tiny_detector(**options)
    assert str(caught.value).endswith(error) and "\n" not in str(caught.value)


@pytest.mark.integration
def test_a_detector_by_name():
    model = CSPPeleeNetEFM(["a"], (64, 96, 3), sam=False, anchors=[(8, 9), (20, 30), (40, 50)], name="mine")
    assert isinstance(model, Detector) and (model.name, model.class_names) == ("mine", ("a",))
    assert [head.shape[1:] for head in model.outputs] == [(8, 12, 6), (4, 6, 6), (2, 3, 6)]
    assert model.anchors == Anchors.of([(8, 9), (20, 30), (40, 50)], (64, 96))


@pytest.mark.parametrize("make", [CSPPeleeNetEFM, YOLOXNano])
@pytest.mark.parametrize("shape", [(None, None, 3), (64, None, 3), 64], ids=str)
def test_an_input_of_no_fixed_size_is_named(make, shape):
    with pytest.raises(ValueError) as caught:
        make(classes=2, input_shape=shape)
    assert (
        str(caught.value) == f"a detector needs a fixed input size, (height, width, 3). Received: input_shape={shape}"
    )


@pytest.mark.parametrize("top", [False, True])
def test_the_backbone_shares_its_weights_and_loses_its_top(top):
    backbone = tiny_backbone(top=top)
    model = Detector(backbone, "efm", 2, neck_options={"width": 32})
    x = np.random.default_rng(0).random((1, *SIZE, 3), "float32")
    expected = keras.Model(backbone.input, pyramid(backbone)["P5"])
    backbone.get_layer("stem").kernel.assign(backbone.get_layer("stem").kernel * 2)
    assert model.backbone.name == "tiny" and model.name == "tiny_efm"
    np.testing.assert_array_equal(model.backbone(x), expected(x))
    assert not [layer.name for layer in model.layers if layer.name == "predictions"]


def randomized(model):
    rng = np.random.default_rng(1)
    model.set_weights([weight + rng.uniform(0, 0.1, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.integration
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"classes": ["Katze", "猫"], "neck_options": {"width": 64, "sam": True}, "activation": "mish"},
        {"anchors": Anchors.of(ANCHORS.pairs[:3], SIZE, scale_xy=(1.2, 1.1, 1.05)), "name": "mine"},
        {"top": True},
    ],
    ids=lambda options: ",".join(options),
)
def test_its_file_keeps_everything_and_loads_in_safe_mode(options, tmp_path):
    model = randomized(tiny_detector(**options))
    x = np.random.default_rng(0).random((2, *SIZE, 3), "float32")
    model.save(tmp_path / "detector.keras")
    by_keras = keras.saving.load_model(tmp_path / "detector.keras", safe_mode=True)
    for loaded in (by_keras, load_detector(tmp_path / "detector.keras")):
        assert type(loaded) is Detector
        assert (loaded.name, loaded.class_names, loaded.anchors) == (model.name, model.class_names, model.anchors)
        assert {**loaded.get_config(), "backbone": None} == {**model.get_config(), "backbone": None}
        for found, expected in zip(loaded(x), model(x), strict=True):
            np.testing.assert_array_equal(found, expected)
    with zipfile.ZipFile(tmp_path / "detector.keras") as archive:
        floats = sum(np.prod(weight.shape) for weight in model.weights)
        assert archive.getinfo("model.weights.h5").file_size < 4 * floats + 500_000  # no weight is in it twice


@pytest.mark.integration
def test_a_compiled_detector_loads_compiled(tmp_path):
    model = tiny_detector()
    model.compile(keras.optimizers.SGD(0.125))
    model.save(tmp_path / "detector.keras")
    loaded = keras.saving.load_model(tmp_path / "detector.keras", safe_mode=True)
    assert float(loaded.optimizer.learning_rate) == 0.125
    assert not load_detector(tmp_path / "detector.keras").compiled


@pytest.mark.integration
def test_the_default_loss_and_another():
    model = tiny_detector()
    x = np.random.default_rng(0).random((2, *SIZE, 3), "float32")
    target = {"boxes": np.float32([[[0.1, 0.2, 0.5, 0.6]]] * 2), "labels": np.array([[1], [-1]])}
    model.compile(run_eagerly=True)
    expected = YoloLoss(ANCHORS, CLASSES)(target, model(x, training=False))
    assert model.test_on_batch(x, target) == pytest.approx(float(expected), rel=1e-4)
    model.compile(run_eagerly=True, loss=lambda target, heads: keras.ops.sum(target["labels"]) + len(heads))
    assert model.test_on_batch(x, target) == 3


@pytest.mark.integration
def test_training_lowers_the_loss():
    keras.utils.set_random_seed(0)
    model = tiny_detector()
    x = np.random.default_rng(0).random((2, *SIZE, 3), "float32")
    target = {"boxes": np.float32([[[0.1, 0.2, 0.5, 0.6]]] * 2), "labels": np.array([[1], [2]])}
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    losses = [model.train_on_batch(x, target) for _ in range(6)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.keras: missing; expected a .keras file with a detector"):
        load_detector(tmp_path / "nowhere.keras")


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_no_model_is_an_error(content, tmp_path):
    path = tmp_path / "file.keras"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other.txt", "")
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        load_detector(path)
    assert str(caught.value).startswith(f"{path}: not a .keras file that can be loaded (")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_model_is_an_error(tmp_path):
    path = tmp_path / "tiny.keras"
    tiny_backbone().save(path)
    with pytest.raises(ValueError, match="tiny.keras: holds a Functional called 'tiny', expected a cspkeras Detector"):
        load_detector(path)
