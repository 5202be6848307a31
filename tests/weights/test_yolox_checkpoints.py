"""YOLOX's .pth files, against ONNX Runtime on the same networks with their norms folded."""

import runpy

import keras
import numpy as np
import pytest
from torch_files import mapping, tensor, write_zip
from torch_yolox import checkpoint, megvii_names

from cspkeras.blocks import BN_EPSILON
from cspkeras.detection.models import yolox
from cspkeras.weights.yolox import load_yolox, read_convolutions

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
SPECS = {"depthwise": yolox.YoloxSpec(8, 1, True), "dense": yolox.YoloxSpec(8, 2, False)}


def build(kind="depthwise", weights=None, classes=3, **options):
    shape = (64, 64, 3)
    return yolox.build(SPECS[kind], classes=classes, input_shape=shape, weights=weights, name="small", **options)


@pytest.fixture(scope="module")
def model():
    """A model of three classes that nothing may change."""
    return build()


@pytest.fixture(scope="module")
def files(test_data, tmp_path_factory):
    """A function of a kind to its (.onnx, .pth) with three classes."""
    from onnx_yolox import write_yolox

    write, folder = runpy.run_path(str(test_data / "goldens" / "torch_file.py"))["write"], tmp_path_factory.mktemp("x")

    def make(kind, change=None):
        spec, onnx, path = SPECS[kind], folder / f"{kind}.onnx", folder / f"{kind}.pth"
        write_yolox(onnx, spec.width, spec.depth, spec.depthwise, 3, 64)
        state = checkpoint(read_convolutions(onnx), spec.depth, spec.depthwise)
        if change:
            change(state)
        write(path, {"start_epoch": 300, "model": state, "optimizer": {"state": {}}}, legacy=kind == "dense")
        return onnx, path

    return make


@pytest.mark.integration
@pytest.mark.parametrize("kind", SPECS)
def test_the_network_answers_as_with_folded_norms(files, kind):
    onnx, path = files(kind)
    image = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype="uint8")
    bgr = image[None, :, :, ::-1].transpose(0, 3, 1, 2).astype("float32")
    expected = runtime.InferenceSession(onnx).run(None, {"images": bgr})[0][0]
    model = build(kind, path)
    heads = model(image[None].astype("float32") / 255, training=False)
    found = np.concatenate([np.reshape(head, (-1, head.shape[-1])) for head in heads])
    found[:, 4:] = 1 / (1 + np.exp(-found[:, 4:]))
    for part in (slice(0, 4), slice(4, None)):
        assert np.abs(found[:, part] - expected[:, part]).max() < 1e-4 * np.ptp(expected[:, part])
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == sum(not name.startswith("!") for name in megvii_names(SPECS[kind].depth, kind == "depthwise"))
    assert {layer.get_config()["epsilon"] for layer in norms} == {1e-3}


@pytest.mark.integration
def test_own_classes_leave_the_class_predictions_alone(files):
    path = files("depthwise")[1]
    model = build(classes=("a", "b"))
    fresh = model.get_layer("head_p4_classes").get_weights()
    with pytest.raises(ValueError, match="head_p3_classes: expected 2 classes, found 3; skip_mismatch=True leaves"):
        load_yolox(model, path)
    load_yolox(model, path, skip_mismatch=True)
    assert all(map(np.array_equal, model.get_layer("head_p4_classes").get_weights(), fresh))
    whole = build(weights=path)
    for name in ("head_p4_boxes", "stage4_block1_conv2_depthwise", "neck_p3_transition_bn"):
        assert all(map(np.array_equal, model.get_layer(name).get_weights(), whole.get_layer(name).get_weights()))


def wider(state):
    name = "backbone.backbone.stem.conv.conv.weight"
    state[name] = np.repeat(state[name], 2, axis=0)


FAULTS = {
    "another width": (
        wider,
        r"backbone.backbone.stem.conv.conv.weight: expected a kernel \(8, 12, 3, 3\), found \(16, 12, 3, 3\);",
    ),
    "a norm less": (
        lambda state: state.pop("backbone.C3_n3.m.0.conv2.dconv.bn.bias"),
        r"backbone.C3_n3.m.0.conv2.dconv.bn.bias of layer 'neck_p4_block1_conv2_depthwise_bn': expected shape .* none",
    ),
    "more": (
        lambda state: state.update({"head.extra": np.ones(2, "float32")}),
        r"head.extra: expected no such tensor in small, found shape \(2,\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_another_networks_file_is_refused_and_changes_nothing(model, files, fault):
    change, message = FAULTS[fault]
    path = files("depthwise", change)[1]
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"depthwise.pth: {message}") as caught:
        load_yolox(model, path, skip_mismatch=True)
    assert "\n" not in str(caught.value)
    assert all(map(np.array_equal, model.get_weights(), before))
    assert model.get_layer("stem_conv_bn").epsilon == BN_EPSILON


def test_another_detectors_file_says_what_it_holds(model, tmp_path):
    path = write_zip(tmp_path / "x.pth", mapping(state_dict=mapping(a=tensor()), meta=b"}"))
    with pytest.raises(ValueError, match="x.pth: holds no weights by name under 'model'; found: 'state_dict', 'meta'"):
        load_yolox(model, path)
