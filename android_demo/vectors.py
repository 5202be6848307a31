"""Compute in Python what the JUnit tests compare the application's Kotlin with: python vectors.py FOLDER

Made-up outputs of networks, decoded and raw, with the boxes that tflite/device/detect.py makes of them; images with the
inputs it makes of them; camera frames with their images; files with settings, and files without. A case's number is its
seed.
"""

import base64
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

CASES, RAW, IMAGES = 240, 60, 32
SIZES = ((64, 64), (96, 64), (64, 96), (416, 416))  # height, width
KINDS = ((np.float32, 0.0, 0), (np.int8, 1 / 255, -128), (np.uint8, 1 / 255, 0), (np.int16, 1 / 32767, 0))
RAW_KINDS = ((np.float32, 0.0, 0), (np.int8, 0.11, 37), (np.uint8, 0.07, 200), (np.int16, 1 / 2048, 0))
STRIDES = (16, 32)

sys.path.insert(0, str(Path(__file__).parents[1] / "tflite/device"))  # as on a device, where nothing is installed
import detect  # noqa: E402
from decoding import CODINGS  # noqa: E402


def packed(array):
    """Encode an array's bytes as text."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def settings(size, resize="letterbox", mean=0.0, scale=1 / 255, iou=0.5):
    how = dict(height=size[0], width=size[1], colors="RGB", mean=mean, scale=scale, resize=resize, fill=114)
    options = dict(precision="float32", boxes="cyxhw", score_threshold=0.25, iou_threshold=iou)
    return dict(format=1, task="detection", model="Made", input=how, **options)


def details(index, array, kind):
    return dict(index=index, dtype=np.dtype(kind[0]), shape=np.array(array.shape), quantization=(kind[1], kind[2]))


def quantized(values, kind):
    dtype, scale, zero_point = kind
    if not scale:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def detector(how, classes, inputs, outputs):
    """Make a `detect.Detector` whose network's outputs are given: inputs and outputs are (array, kind)."""
    made = detect.Detector.__new__(detect.Detector)
    made.settings, made.labels = how, [f"class {i}" for i in range(classes)]
    made.times, made._path = {}, "made"
    tensors = [array for array, _ in outputs]
    nothing = SimpleNamespace(set_tensor=lambda *_: None, invoke=lambda: None)
    nothing.tensor = lambda index: lambda: tensors[index]
    made._interpreter, made._size = nothing, (how["input"]["height"], how["input"]["width"])
    made._input = details(2, *inputs)
    made._outputs = {name: details(i, *outputs[i]) for i, name in enumerate(("boxes", "scores"))}
    return made


def case(number):
    """Make boxes around a few spots, so that they overlap, some beyond the image; scores mostly low."""
    rng = np.random.default_rng(number)
    classes, size = int(rng.integers(1, 8)), SIZES[number // 5 % len(SIZES)]
    rows = 3549 if number % 12 == 11 else int(rng.integers(1, 300))
    spots = rng.uniform(-0.05, 1.05, (8, 4)) * (1, 1, 0.6, 0.6)
    boxes = np.abs(spots[rng.integers(0, 8, rows)] + rng.normal(0, 0.03, (rows, 4)))
    scores = rng.beta(0.5, 2.5, (rows, classes))
    kinds = KINDS[number % 4], KINDS[number // 4 % 4]
    outputs = [
        (quantized(array[None].astype(np.float32), kind), kind)
        for array, kind in zip((boxes, scores), kinds, strict=True)
    ]
    how = settings(size, ("letterbox", "stretch")[number % 2], iou=float(rng.uniform(0.2, 0.8)))
    return expected(how, classes, outputs, rng)


def raw_case(number):
    """Make the raw outputs of two levels, each coding in turn, now and then as older files say it."""
    rng = np.random.default_rng(number)
    classes, size, coding = int(rng.integers(1, 8)), SIZES[number // 3 % len(SIZES)], [*CODINGS][number % len(CODINGS)]
    boxed, depth = coding in ("yolo", "scaled"), classes + CODINGS[coding].objectness
    anchors = int(rng.integers(1, 4)) if boxed else 1
    levels = [
        dict(stride=s, scale_xy=1.2 if boxed else 1.0, anchors=rng.uniform(8, 64, (anchors, 2)).tolist())
        for s in STRIDES
    ]
    rows = sum(anchors * (size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    kinds = RAW_KINDS[number // 2 % 4], RAW_KINDS[number // 8 % 4]
    arrays = rng.normal(0, 1.5, (1, rows, 4)), rng.normal(-1.5, 2.5, (1, rows, depth))
    outputs = [(quantized(array, kind), kind) for array, kind in zip(arrays, kinds, strict=True)]
    older = {"yolo": dict(linear=False), "free": dict(linear=True)} if number % 3 == 0 else {}
    decode = dict(older.get(coding, dict(coding=coding)), levels=levels)
    how = dict(settings(size, ("letterbox", "stretch")[number // 5 % 2]), boxes="raw", decode=decode)
    return expected(how, classes, outputs, rng)


def expected(how, classes, outputs, rng):
    """Return a case of a network's outputs."""
    size = how["input"]["height"], how["input"]["width"]
    height, width = (int(side) for side in rng.integers(1, 3000, 2))
    threshold = float(np.float32(rng.uniform(0.05, 0.7)))
    made = detector(how, classes, (np.zeros((1, *size, 3), np.float32), KINDS[0]), outputs)
    image = np.broadcast_to(np.uint8(0), (height, width, 3))
    made._preprocess = lambda image: None  # the image's size alone counts here
    found = made.detect(image, threshold)
    tensors = [
        dict(shape=array.shape, type=np.dtype(kind[0]).name, scale=kind[1], zero_point=kind[2], data=packed(array))
        for array, kind in outputs
    ]
    objects = [
        [*map(float, box), int(label), float(score)]
        for box, label, score in zip(found["boxes"], found["labels"], found["scores"], strict=True)
    ]
    picture = dict(width=width, height=height)
    return dict(settings=how, labels=made.labels, picture=picture, threshold=threshold, tensors=tensors, found=objects)


def preprocessed(number):
    """Make an image and the network's input of it."""
    rng = np.random.default_rng(number)
    size, kind = SIZES[number % 3], KINDS[number // 2 % 4]
    height, width = (int(side) for side in rng.integers(1, 200, 2))
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    how = settings(size, ("letterbox", "stretch")[number % 2], *((0.0, 1 / 255), (127.5, 1 / 127.5))[number // 8 % 2])
    shape = np.zeros((1, *size, 3), kind[0])
    made = detector(how, 1, (shape, kind), [(np.zeros((1, 1, 4)), KINDS[0]), (np.zeros((1, 1, 1)), KINDS[0])])
    tensor = dict(type=np.dtype(kind[0]).name, scale=kind[1], zero_point=kind[2], data=packed(made._preprocess(image)))
    return dict(settings=how, width=width, height=height, pixels=packed(image), tensor=tensor)


def frame(number):
    """Make a camera's frame, its planes apart or interleaved, and the upright image by JPEG's formulas."""
    rng = np.random.default_rng(number)
    height, width = (int(2 * side) for side in rng.integers(1, 20, 2))
    rotation, interleaved, pad = 90 * (number % 4), number // 4 % 2, int(rng.integers(0, 5))
    y = rng.integers(0, 256, (height, width), np.uint8)
    u, v = rng.integers(0, 256, (2, height // 2, width // 2), np.uint8)
    planes = []
    for plane in (y, u, v):
        step = 2 if interleaved and plane is not y else 1
        row = plane.shape[1] * step + pad
        raw = np.zeros((plane.shape[0], row), np.uint8)
        raw[:, : plane.shape[1] * step : step] = plane
        cut = raw.ravel()[: raw.size - row + (plane.shape[1] - 1) * step + 1]  # cameras leave out the last padding
        planes.append(dict(data=packed(cut), row_stride=row, pixel_stride=step))
    bright = y.astype(float)
    cb, cr = (np.repeat(np.repeat(plane, 2, 0), 2, 1) - 128.0 for plane in (u, v))
    rgb = np.stack([bright + 1.402 * cr, bright - 0.344136 * cb - 0.714136 * cr, bright + 1.772 * cb], axis=-1)
    upright = np.rot90(rgb.round().clip(0, 255).astype(np.uint8), -rotation // 90)
    return dict(width=width, height=height, rotation=rotation, planes=planes, pixels=packed(upright))


def write_files(folder):
    """Write a file with settings, and some that can't be used."""
    start = b"\x1c\0\0\0TFL3" + bytes(100)
    how = settings((64, 96))

    def model(name, given, labels="a cat\ndög\n"):
        with open(folder / name, "wb") as file:
            file.write(start)
        with zipfile.ZipFile(folder / name, "a") as archive:
            archive.writestr("cspkeras.json", given)
            archive.writestr("labels.txt", labels)

    model("good.tflite", json.dumps(how))
    model("other_boxes.tflite", json.dumps({**how, "boxes": "xyxy"}))
    model("no_decode.tflite", json.dumps({**how, "boxes": "raw"}))
    model("lacking.tflite", json.dumps({**how, "input": {}}))
    model("no_json.tflite", "{")
    (folder / "bare.tflite").write_bytes(start)
    (folder / "empty.tflite").touch()
    (folder / "text.tflite").write_text("no model")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder)
    parts = {"outputs": (case, CASES), "raw": (raw_case, RAW), "inputs": (preprocessed, IMAGES), "frames": (frame, 16)}
    for name, (make, count) in parts.items():
        (folder / f"{name}.json").write_text(json.dumps([make(number) for number in range(count)]))


if __name__ == "__main__":
    main()
