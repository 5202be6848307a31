"""YOLOX's .onnx files, against ONNX Runtime."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

import cspkeras
from cspkeras.detection.images import letterbox, to_image
from cspkeras.detection.models import yolox
from cspkeras.tflite import check, convert
from cspkeras.tflite.device.detect import Detector
from cspkeras.weights import unfold_norms
from cspkeras.weights.yolox import load_yolox

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
SMALL = yolox.YoloxSpec(8, 1, True)
DENSE = yolox.YoloxSpec(8, 2, False)


def build(spec, weights=None, classes=3, size=64, **options):
    return yolox.build(spec, classes=classes, input_shape=(size, size, 3), weights=weights, name="small", **options)


def write(path, spec, classes=3, size=64):
    from onnx_yolox import write_yolox

    return write_yolox(path, spec.width, spec.depth, spec.depthwise, classes, size)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of `SMALL` with three classes."""
    return write(tmp_path_factory.mktemp("onnx") / "small.onnx", SMALL)


@pytest.fixture(scope="module")
def model():
    """A model of `SMALL` with three classes; nothing that is refused may change it."""
    return build(SMALL)


def assert_refused(model, path, error, message):
    """Check that loading is an error of one line, even if mismatches may be skipped, and leaves the model as it is."""
    before = model.get_weights()
    with pytest.raises(error, match=message) as caught:
        load_yolox(model, path, skip_mismatch=True)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(found, expected) for found, expected in zip(model.get_weights(), before, strict=True))


def by_onnx(session, image):
    """Return ONNX Runtime's output (P, 5 + C) for an image (H, W, 3) uint8 RGB of the network's size."""
    return session.run(None, {"images": image[None, :, :, ::-1].transpose(0, 3, 1, 2).astype("float32")})[0][0]


def by_keras(model, image):
    heads = model(image[None].astype("float32") / 255, training=False)
    raw = np.concatenate([np.reshape(head, (-1, head.shape[-1])) for head in heads])
    return np.concatenate([raw[:, :4], 1 / (1 + np.exp(-raw[:, 4:]))], axis=1)


def assert_same(found, expected, tolerance=1e-4):
    for part in (slice(0, 4), slice(4, None)):
        spread = np.ptp(expected[:, part])
        assert np.abs(found[:, part] - expected[:, part]).max() < tolerance * spread


@pytest.mark.integration
@pytest.mark.parametrize("spec", [SMALL, DENSE], ids=["depthwise", "dense"])
def test_the_network_answers_as_in_onnx_runtime(spec, tmp_path):
    path = write(tmp_path / "network.onnx", spec)
    image = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype="uint8")
    assert_same(by_keras(build(spec, path), image), by_onnx(runtime.InferenceSession(path), image))


@pytest.mark.integration
def test_unfolded_norms_change_training_alone(file):
    rng = np.random.default_rng(0)
    images = [rng.random((4, 64, 64, 3), "float32") for _ in range(2)]
    model, whole = build(SMALL, file), np.concatenate(images)

    def answers(training):
        held = model.get_weights()
        heads = [np.asarray(head) for head in model(whole, training=training)]
        model.set_weights(held)  # the statistics that training moves
        return heads

    before, far = answers(False), answers(True)
    assert unfold_norms(model, images) is model
    after, near = answers(False), answers(True)
    for old, new, wrong, right in zip(before, after, far, near, strict=True):
        scale = np.ptp(old)
        assert np.abs(new - old).max() < 1e-4 * scale
        assert np.abs(right - old).max() < 1e-2 * scale < 10 * np.abs(wrong - old).max()


@pytest.mark.integration
def test_unfolding_without_images_is_an_error(model):
    with pytest.raises(ValueError, match="needs at least one batch of images; received none"):
        unfold_norms(model, [])


@pytest.mark.integration
def test_own_classes_leave_the_class_predictions_alone(file):
    whole, loaded = build(SMALL, file), build(SMALL, classes=("a", "b"))
    fresh = {layer.name: layer.get_weights() for layer in loaded.layers}
    load_yolox(loaded, file, skip_mismatch=True)
    for layer in loaded.layers:
        expected = fresh[layer.name] if layer.name.endswith("_classes") else whole.get_layer(layer.name).get_weights()
        assert all(map(np.array_equal, layer.get_weights(), expected))
    with pytest.raises(ValueError, match="head_p3_classes: expected 2 classes, found 3; skip_mismatch=True leaves"):
        load_yolox(loaded, file)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("width", "depth", "depthwise", "message"),
    [
        (16, 1, True, r"stem_conv: expected a kernel \(8, 12, 3, 3\), found \(16, 12, 3, 3\); it is not small"),
        (8, 1, False, r"stage1_downsample_depthwise: expected a kernel \(8, 1, 3, 3\), found \(16, 8, 3, 3\)"),
        (8, 2, True, "stage1_transition: expected a kernel"),
    ],
)
def test_another_networks_file_names_the_layer(model, width, depth, depthwise, message, tmp_path):
    path = write(tmp_path / "x.onnx", yolox.YoloxSpec(width, depth, depthwise))
    assert_refused(model, path, ValueError, f"x.onnx: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (1, "continues after head_p5_objectness: 114 convolutions, small has 113"),
        (-1, "ends before head_p5_objectness: 112 convolutions, small has 113"),
    ],
)
def test_a_longer_and_a_shorter_file(model, file, change, message, tmp_path):
    proto = onnx.load(file)
    last = [node for node in proto.graph.node if node.op_type == "Conv"][-1]
    (proto.graph.node.append if change > 0 else proto.graph.node.remove)(last)
    onnx.save(proto, tmp_path / "x.onnx")
    assert_refused(model, tmp_path / "x.onnx", ValueError, f"x.onnx: {message}")


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("x.onnx", None, FileNotFoundError, "x.onnx: missing; expected a .onnx or .pth file"),
        ("x.onnx", b"", ValueError, "x.onnx: not a .onnx file with convolutions"),
        ("x.onnx", b"no such thing", ValueError, r"x.onnx: not a whole .onnx file \("),
        ("x.pth", None, FileNotFoundError, "x.pth: missing; expected a .pth file"),
        ("x.pth", b"", ValueError, "x.pth: not a whole file of PyTorch's"),
        ("x.h5", b"", ValueError, "x.h5: not a .onnx file with convolutions"),
    ],
)
def test_what_is_no_onnx_file_is_an_error(model, name, content, error, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_refused(model, tmp_path / name, error, message)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_an_error(model, file, part, tmp_path):
    content = file.read_bytes()
    (tmp_path / "x.onnx").write_bytes(content[: int(len(content) * part)])
    assert_refused(model, tmp_path / "x.onnx", ValueError, "x.onnx: not a whole .onnx file")


def test_a_network_in_training_mode_is_an_error(model, file, tmp_path):
    proto = onnx.load(file)
    next(node for node in proto.graph.node if node.op_type == "Conv").input.pop()
    onnx.save(proto, tmp_path / "x.onnx")
    assert_refused(model, tmp_path / "x.onnx", ValueError, "x.onnx: convolution .* has no kernel and bias of its own")


def test_without_onnx_the_error_says_what_to_install(model, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert_refused(
        model, file, ModuleNotFoundError, "small.onnx: .onnx files need the package onnx; pip install 'cspkeras.onnx.'"
    )


@pytest.mark.integration
def test_keras_files_are_weights_too(model, tmp_path):
    model.save_weights(tmp_path / "x.weights.h5")
    again = build(SMALL, tmp_path / "x.weights.h5")
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


@pytest.fixture(scope="module")
def published(test_data):
    """The published YOLOX-Nano: its file, and ONNX Runtime's session."""
    path = test_data / "models" / "yolox_nano.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return path, runtime.InferenceSession(path)


@pytest.fixture(scope="module")
def measured(test_data):
    """A function of a detector's detections in all photographs that gives COCO's figures."""
    from cspkeras.training.data.examples import Example
    from cspkeras.training.evaluation.detection import coco_metrics

    examples = [Example(None, boxes, labels) for _, boxes, labels in photos(test_data)]
    return lambda found: coco_metrics(examples, found, [str(i) for i in range(80)])


@pytest.fixture(scope="module")
def detected(published, test_data):
    """What the published nano detects in all photographs, in floats."""
    images = [image for image, _, _ in photos(test_data)]
    return cspkeras.YOLOXNano(weights=published[0]).detect(images, score_threshold=0.001)


def photos(test_data, limit=None):
    folder = test_data / "data" / "coco_free"
    truth = json.loads((folder / "instances.json").read_text())
    categories = {category["id"]: i for i, category in enumerate(truth["categories"])}
    for image in truth["images"][:limit]:
        objects = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        boxes = np.float32([a["bbox"] for a in objects]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        picture = np.asarray(Image.open(folder / "images" / image["file_name"]).convert("RGB"))
        yield picture, boxes, [categories[a["category_id"]] for a in objects]


def test_the_published_nano_answers_as_in_onnx_runtime(published, test_data):
    path, session = published
    model = cspkeras.YOLOXNano(weights=path)
    tensors = [onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
    kernels = [t for t in tensors if t.ndim == 4]
    assert len(kernels) == 113 and sum(t.size for t in kernels) == 896_512
    trainable = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    # After each kernel the file has a bias; here all but the predictions' have a norm's scale and shift.
    assert trainable == 896_512 + sum(len(t) for t in kernels) * 2 - 3 * 85 == 912_159
    for picture, _, _ in photos(test_data, 3):
        image, _ = letterbox(picture, (416, 416))
        assert_same(by_keras(model, image), by_onnx(session, image))


def plain_detect(session, picture, score_threshold=0.001, iou_threshold=0.5):
    """The published network's detections, decoded and suppressed in NumPy."""
    image, placement = letterbox(picture, (416, 416))
    raw, grids = by_onnx(session, image).astype("float64"), []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: 416 // stride, : 416 // stride]
        grids.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], 1))
    grid = np.concatenate(grids)
    centre, half = (raw[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(raw[:, 2:4]) * grid[:, 2:] / 2
    boxes, scores = np.concatenate([centre - half, centre + half], 1), raw[:, 4:5] * raw[:, 5:]
    order = [(-scores[p, k], p, k) for p, k in zip(*np.nonzero(scores > score_threshold), strict=True)]
    kept = []
    for score, p, k in sorted(order)[:1000]:
        if all(label != k or overlap(boxes[p], box) <= iou_threshold for box, label, _ in kept):
            kept.append((boxes[p], k, -score))
    boxes = to_image(np.float32([box for box, _, _ in kept]).reshape(-1, 4), placement, picture.shape)
    return {"boxes": boxes, "labels": [k for _, k, _ in kept], "scores": [s for _, _, s in kept]}


def overlap(a, b):
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


@pytest.mark.slow
def test_the_published_nano_detects_as_in_onnx_runtime(published, test_data, measured, detected):
    _, session = published
    images = [image for image, _, _ in photos(test_data)]
    ours = measured(detected)
    theirs = measured([plain_detect(session, image) for image in images])
    for key in ("mAP", "mAP50", "mAP75"):
        assert ours[key] == pytest.approx(theirs[key], abs=0.002)
    assert ours["mAP"] > 0.2


@pytest.mark.slow
def test_a_handful_of_photographs_make_the_published_nano_an_int8_file(
    published, test_data, measured, detected, tmp_path
):
    model = cspkeras.YOLOXNano(weights=published[0])
    images = [image for image, _, _ in photos(test_data)]
    few = (letterbox(image, (416, 416))[0][None].astype("float32") / 255 for image in images[:16])
    file = convert(model, tmp_path / "int8.tflite", "int8", few, refine_steps=100)
    checked = check(file, images=letterbox(images[0], (416, 416))[0][None].astype("float32") / 255, runs=1)
    assert checked.gpu_delegated in (True, None)  # None: there is no GPU
    found = Detector(file)
    quantized = [found.detect(image, score_threshold=0.001) for image in images]
    assert measured(quantized)["mAP"] > measured(detected)["mAP"] - 0.02
