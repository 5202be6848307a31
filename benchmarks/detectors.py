"""Which detector? Each one's .tflite files: size, latency on two CPU threads beside YOLOX-Nano's, and memory.

    pip install -e '.[all]'
    python benchmarks/detectors.py --output docs/measured/detectors.json

Detectors with a published accuracy are built at the size that it was published for, with 80 classes. Weights are random
with calibrated norms (untrained.py), int8 is calibrated on noise: this measures speed and size, not accuracy. First all
files are written, then each is measured. A round runs YOLOX-Nano's file of the same precision, then the detector's, 15
times each, a slow one less often; the figure is the median of the rounds. Killed at any moment, the same command
resumes.
"""

import argparse
import json
import os
import platform
import statistics
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from machine import processor

PEER = "YOLOXNano"
KINDS = "float32", "int8"
THREADS, ROUNDS, IMAGES = 2, 3, 2
RUNS, FEWEST, SECONDS = 15, 5, 10  # of a file in a round: so many, or as many as fit into the seconds
PACKAGES = "keras", "tensorflow", "ai-edge-litert"


def paths(name, folder):
    """Return {precision: where a detector's file of it lies}."""
    return {kind: folder / f"{name}_{kind}.tflite" for kind in KINDS}


def convert(name, folder):
    """Write a detector's file of each precision."""
    from files import build

    from cspkeras.tflite import convert

    model, images = build(name, count=IMAGES)
    for kind, path in paths(name, folder).items():
        convert(model, path, kind, images[:, None] if kind == "int8" else None)


def measure(name, folder):
    """Measure a detector's files beside its peer's; return {precision: figures}."""
    from cspkeras.tflite import benchmark

    row, peers = {}, paths(PEER, folder)
    for kind, path in paths(name, folder).items():
        once = benchmark(path, (THREADS,), 1).latencies[0].median_ms / 1000
        runs = {peers[kind]: RUNS, path: max(FEWEST, min(RUNS, int(SECONDS / once)))}
        rounds = []
        for _ in range(ROUNDS):
            peer, own = (benchmark(file, (THREADS,), runs[file]).latencies[0] for file in (peers[kind], path))
            rounds.append((own.median_ms, own.median_ms / peer.median_ms, own.memory_bytes))
        milliseconds, ratio, memory = map(statistics.median, zip(*rounds, strict=True))
        row[kind] = {"bytes": path.stat().st_size, "ms": milliseconds, "ratio": ratio, "memory": memory}
    return row


def alone(function, *arguments):
    """Call a function in a process of its own: what TensorFlow keeps of one network would add up."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", metavar="NAME", help="[all with a published accuracy]")
    parser.add_argument("--files", type=Path, default=Path("build/detectors"), help="where the files lie [%(default)s]")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write or resume")
    args = parser.parse_args()
    from cspkeras.files import write_json
    from cspkeras.registry import NETWORKS, list_detectors

    published = {name: NETWORKS[name].spec.published for name in list_detectors()}
    names = [name for name, figures in published.items() if figures.ap or figures.ap50]
    names.sort(key=lambda name: published[name].trainable * published[name].size ** 2)  # the quick ones first
    if unknown := set(args.models or ()) - set(names):
        parser.error(f"no published accuracy of {', '.join(sorted(unknown))}; there is of {', '.join(names)}")
    machine = {"machine": platform.machine(), "processor": processor(), "cores": os.cpu_count()}
    setting = machine | {"threads": THREADS}
    setting |= {package: version(package) for package in PACKAGES}
    results = json.loads(args.output.read_text()) if args.output.exists() else {"setting": setting, "detectors": {}}
    if results["setting"] != setting:
        parser.error(f"{args.output}: measured with other settings, {results['setting']}. Received: {setting}")
    names = args.models or names
    args.files.mkdir(parents=True, exist_ok=True)
    for name in [PEER, *names]:
        if not all(path.exists() for path in paths(name, args.files).values()):
            alone(convert, name, args.files)
    for name in names:
        if name not in results["detectors"]:
            results["detectors"][name] = alone(measure, name, args.files)
            print(name, json.dumps(results["detectors"][name]), flush=True)
            write_json(args.output, results)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
