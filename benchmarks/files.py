"""Every network as a .tflite file in five precisions: its size, and what LiteRT's CPU and GPU delegate make of it.

One more file, of integers from one end to the other, is compiled for an NPU, Arm's Ethos-U65.

    pip install -e '.[all]'
    python benchmarks/files.py --size 64 --output docs/measured/files.json

Backbones have their classifier of 1,000 classes, detectors 80 classes. Weights are random, with norms calibrated so
that signals stay in a realistic range (untrained.py): this measures sizes, operations and agreement, not accuracies.
Every file is run on LiteRT's CPU, and on its GPU delegate if there is a Vulkan driver. Killed at any moment, the same
command resumes.

    float32, float16 (weights), dynamic (int8 weights)
    int8 PTQ    post-training quantization: calibrated on four images
    int8 QAT    the same model after two steps of quantization-aware training
    integers    calibrated likewise, with integer inputs and outputs; a detector's boxes are decoded by its reader
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np

QAT = "int8 QAT"
PRECISIONS = {"float32": "float32", "float16": "float16", "dynamic": "dynamic", "int8 PTQ": "int8", QAT: "int8"}
IMAGES, STEPS, RATE = 4, 2, 1e-4
NPU = "ethos-u65-256"
PACKAGES = ("keras", "tensorflow", "ai-edge-litert", "ethos-u-vela")


def build(name, size=None, count=IMAGES, **options):
    """Build a network at its published size or another; return it and the `count` images that calibrate its norms."""
    import keras
    from untrained import calibrate_norms

    from cspkeras.registry import NETWORKS

    keras.utils.set_random_seed(0)
    network = NETWORKS[name]
    size = size or network.spec.published.size
    images = np.random.default_rng(0).random((count, size, size, 3), "float32")
    return calibrate_norms(network.build(input_shape=(size, size, 3), **options), images), images


def prove(model, images, folder, kinds=tuple(PRECISIONS)):
    """Convert a network to each of `kinds` and check the files.

    Yields:
        (kind, file's path, `Check`). What is trained comes last and is compared to the trained model.
    """
    from cspkeras.tflite import check, convert
    from cspkeras.tflite.export.convert import reference

    quantized = None
    for kind in kinds:
        source = model
        if PRECISIONS[kind] == "int8":
            from cspkeras.training import calibrate, quantize_aware

            if quantized is None:
                quantized = calibrate(quantize_aware(model, images[:, None]), images[:, None])
            if kind == QAT:
                train(quantized, images)
            source = quantized
        path = convert(source, Path(folder) / f"{kind.replace(' ', '_')}.tflite", PRECISIONS[kind])
        wanted = reference(quantized if kind == QAT else model)
        yield kind, path, check(path, reference=wanted, images=images[:1], runs=1)


def train(quantized, images):
    """Train some quantization-aware steps on made-up labels; eagerly, which starts at once."""
    import keras

    from cspkeras.graph import is_detector

    rng, optimizer = np.random.default_rng(1), keras.optimizers.SGD(RATE)
    if is_detector(quantized):
        labels = rng.integers(0, len(quantized.class_names), (IMAGES, 2))
        boxes = np.tile(np.array([[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9]], "float32"), (IMAGES, 1, 1))
        answers = {"boxes": boxes, "labels": labels.astype("int32")}
        quantized.compile(optimizer, run_eagerly=True)
    else:
        answers = rng.integers(0, quantized.output_shape[-1], IMAGES)
        quantized.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    for _ in range(STEPS):
        quantized.train_on_batch(images, answers)


def measure(name, size):
    """Measure one network: its size, its lone norms, its operations in floats, and figures of each file."""
    from norms import left_norms, lone_norms

    start = time.perf_counter()
    model, images = build(name, size)
    row = {"size": images.shape[1], "lone_norms": len(lone_norms(model)), "files": {}}
    with tempfile.TemporaryDirectory() as folder:
        for kind, path, found in prove(model, images, folder):
            if kind == "float32":
                row |= {"operations": found.operations, "gpu": found.gpu_note}
            row["files"][kind] = {
                "bytes": found.size_bytes,
                "operations": sum(found.operations.values()),
                "left_norms": len(left_norms(path)),
                "delegated": found.gpu_delegated,
                "rejected": found.rejected,
                "cpu_to_keras": asdict(found.cpu_to_reference),
                "gpu_to_cpu": found.gpu_to_cpu and asdict(found.gpu_to_cpu),
                "faults": found.faults,
            }
            print(f"{name} {kind}: {found.size_bytes:,} bytes, {time.perf_counter() - start:.0f} s", flush=True)
    return row


def measure_npu(name, size):
    """Measure what an NPU takes of a network's file of integers."""
    from cspkeras.graph import is_detector
    from cspkeras.tflite import convert
    from cspkeras.tflite.proof.npu import check_npu

    start = time.perf_counter()
    model, images = build(name, size)
    with tempfile.TemporaryDirectory() as folder:
        path, ends = Path(folder) / "integers.tflite", "host" if is_detector(model) else "file"
        found = check_npu(convert(model, path, "int8", images[:, None], io="int8", decode=ends), NPU).to_json()
    print(f"{name} integers: {found['share']:.1%} on {NPU}, {time.perf_counter() - start:.0f} s", flush=True)
    return {"npu": found}


PARTS = {"files": measure, "npu": measure_npu}  # what each adds to a network's row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", metavar="NAME", help="[all]")
    parser.add_argument("--size", type=int, help="side of the input in pixels [each one's published size]")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write or resume")
    args = parser.parse_args()
    from cspkeras.files import write_json
    from cspkeras.registry import list_detectors, list_models

    names = [*list_models(), *list_detectors()]
    if unknown := set(args.models or ()) - set(names):
        parser.error(f"unknown network {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    setting = {"size": args.size, **{package: version(package) for package in PACKAGES}}
    results = json.loads(args.output.read_text()) if args.output.exists() else {"setting": setting, "networks": {}}
    if results["setting"] != setting:
        parser.error(f"{args.output}: measured with other settings, {results['setting']}. Received: {setting}")
    for name in args.models or names:
        row = results["networks"].setdefault(name, {})
        for part in [part for part in PARTS if part not in row]:
            # A process each: what TensorFlow keeps of one network would add up.
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                row.update(process.submit(PARTS[part], name, args.size).result())
            write_json(args.output, results)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
