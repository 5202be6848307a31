"""OpenMMLab's checkpoints of RTMDet: mmdetection's answers, and what is refused."""

import json
import runpy

import keras
import numpy as np
import pytest
from small_networks import small_rtmdet as build
from torch_files import mapping, tensor, write_legacy

import cspkeras
from cspkeras.detection.models import rtmdet
from cspkeras.detection.models.openmmlab import openmmlab_tensors

COPY, FIRST = (f"bbox_head.reg_convs.{level}.1.conv.weight" for level in (2, 0))
STEM = "backbone.stem.0.conv.weight"


def save(path, state):
    """Write a checkpoint as mmdetection's publisher does."""
    arrays = {name: np.ascontiguousarray(value, "float32") for name, value in state.items()}
    tensors, records = {}, {}
    for key, (name, value) in enumerate(arrays.items()):
        strides = tuple(step // 4 for step in value.strides)
        tensors[name] = tensor(value.shape, strides, key=str(key), count=value.size, view=(None,))
        records[str(key)] = value.size, value.tobytes()
    write_legacy(path, mapping(state_dict=mapping(**tensors)), records)
    return path


@pytest.fixture(scope="module")
def model():
    """A network of three classes that nothing that is refused may change."""
    return build()


def state_of(model, tensor_of):
    """A model's state by mmdetection's names, of `tensor_of(variable, the file's shape, the variable's axes in it)`."""
    state = {}
    for name, parts in openmmlab_tensors(model).items():
        ((_, variable, axes),) = parts
        state[name] = tensor_of(variable, [variable.shape[axes.index(i)] for i in range(len(axes))], axes)
    copies = {name.replace("convs.0", f"convs.{level}"): name for name in state for level in (1, 2)}
    return state | {copy: state[name] for copy, name in copies.items() if copy not in state and "conv.w" in copy}


@pytest.fixture(scope="module")
def state(model):
    """The state of a small network of three classes, of random numbers; no test may change it."""
    rng = np.random.default_rng(0)
    return state_of(model, lambda variable, shape, axes: rng.uniform(0.5, 1.5, shape))


def golden(test_data, name):
    folder = test_data / "goldens"
    synthetic = runpy.run_path(str(folder / "synthetic.py"))
    about = json.loads((folder / "rtmdet" / f"{name}.json").read_text())
    state = {tensor: synthetic["rtmdet_tensor"](tensor, tuple(shape)) for tensor, shape in about["tensors"].items()}
    image = synthetic["image"](128).transpose(0, 2, 3, 1) * about["std"] + about["mean"]
    return state, image[..., ::-1] / 255, np.load(folder / "rtmdet" / f"{name}.npz")


@pytest.mark.integration
def test_the_smallest_answers_as_in_mmdetection(test_data, tmp_path):
    state, image, expected = golden(test_data, "rtmdet_tiny")
    model = cspkeras.RTMDetTiny(weights=save(tmp_path / "x.pth", state), input_shape=(128, 128, 3))
    for level, found in enumerate(model.predict(image, verbose=0)):
        for part, raw in ((f"distances{level}", found[..., :4] * 8 * 2**level), (f"scores{level}", found[..., 4:])):
            assert np.abs(raw - expected[part]).max() < 3e-4 * np.abs(expected[part]).max()


@pytest.mark.integration
def test_the_class_predictions_alone_may_be_of_other_classes(state, tmp_path):
    path = save(tmp_path / "x.pth", state)
    whole = build(path, classes=None)
    assert whole.class_names == ("0", "1", "2")
    with pytest.raises(ValueError, match="rtm_cls.0.weight: expected 2 classes, found 3; skip_mismatch=True leaves"):
        build(path, classes=2)
    other = build(path, classes=("a", "b"), skip_mismatch=True)
    assert other.class_names == ("a", "b")
    for layer in other.layers:
        expected = whole.get_layer(layer.name).get_weights()
        if not layer.name.endswith("_classes"):
            assert all(map(np.array_equal, layer.get_weights(), expected))
        else:
            np.testing.assert_allclose(layer.bias, np.log(0.01 / 0.99), rtol=1e-5)


@pytest.mark.slow
def test_a_checkpoint_is_trained_further_on_other_classes(tmp_path):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
    images[:, 16:40, 24:48] = 1
    objects = {"boxes": np.float32([[[0.375, 0.25, 0.75, 0.625]]] * 2), "labels": np.array([[1], [1]])}

    def train(model, rate, steps):
        model.compile(keras.optimizers.Adam(rate), run_eagerly=True)
        return [model.train_on_batch(images, objects) for _ in range(steps)]

    source = build()
    train(source, 1e-2, 8)  # until its boxes fit somewhat: up to then the loss, which is weighted by that, grows
    state = state_of(source, lambda x, _, axes: np.transpose(x, np.argsort(axes)))
    path = save(tmp_path / "x.pth", state | {STEM: state[STEM][:, ::-1]})  # of BGR there
    model = build(path, classes=("cat", "dog"), skip_mismatch=True)
    for layer in ("stem_conv1", "head_p3_boxes"):
        assert all(map(np.array_equal, model.get_layer(layer).get_weights(), source.get_layer(layer).get_weights()))
    assert [head.shape[-1] for head in model.outputs] == [4 + 2] * 3 and model.class_names == ("cat", "dog")
    losses = train(model, 3e-3, 4)
    assert min(losses) < 0.85 * losses[0], losses  # a new assignment may raise it for a step


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


def wider(state):
    return {name: np.zeros((12, 3, 3, 3)) if name == STEM else value for name, value in state.items()}


MEAN = {"data_preprocessor.mean": np.reshape([123.675, 116.28, 103.53], (3, 1, 1))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wider, f"{STEM}: expected 4 channels, found 12, as RTMDetTiny has"),
        (without(STEM), f"holds no kernel {STEM}, as RTMDet's have; it begins with "),
        (lambda state: {"backbone.backbone.stem.conv.conv.weight": np.zeros(3)}, "holds no kernel"),
        (without("neck.out_convs.1.bn.bias"), "neck.out_convs.1.bn.bias of layer 'neck_p4_out_bn': expected shape"),
        (lambda state: state | {"bbox_head.rtm_obj.0.bias": np.zeros(1)}, "bbox_head.rtm_obj.0.bias: expected no such"),
        (lambda state: state | {COPY: state[COPY] + 1}, f"{COPY}: expected a copy of {FIRST}, which the levels share"),
        (lambda state: state | MEAN, "data_preprocessor.mean: expected 103.53, 116.28, 123.675 of BGR, found 123.675"),
    ],
    ids=["size", "stem", "yolox", "missing", "extra", "copy", "mean"],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(model, state, tmp_path, monkeypatch, change, message):
    path, before = save(tmp_path / "x.pth", change(state)), model.get_weights()
    monkeypatch.setattr(rtmdet, "Detector", lambda *args, **options: model)  # which takes longest to build
    with pytest.raises(ValueError, match="x.pth: " + message) as caught:
        build(path, classes=None)
    assert "\n" not in str(caught.value)
    assert all(map(np.array_equal, model.get_weights(), before))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("x.weights", ValueError, "weights must be None, a .pth, .keras or .weights.h5 file. Received: weights='x.w"),
        ("nowhere.pth", FileNotFoundError, "nowhere.pth: missing; expected a .pth file"),
        ("nowhere.keras", FileNotFoundError, "nowhere.keras: missing; expected a .keras"),
    ],
)
def test_other_weights_are_an_error(weights, error, message):
    with pytest.raises(error, match=message):
        build(weights)
