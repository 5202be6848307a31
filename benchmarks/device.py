"""Speed of our .tflite files on the CPU beside other people's runtimes and files, batch 1.

    pip install -e '.[all]' && pip install -r benchmarks/requirements.txt
    python benchmarks/device.py --peer CSPPeleeNetEFM=ssd_mobilenet_v1.tflite --peer YOLOXNano=yolox_nano.tflite

* CSPResNet50 at 256x256 in float32, dynamic and int8 on LiteRT, beside ONNX Runtime (float32, and its own static int8),
  ncnn and OpenCV's DNN on the same network with the same weights;
* CSPPeleeNetEFM at 320x320 and YOLOXNano at 416x416 in int8 beside any .tflite that --peer names.

Each runs in a process of its own; they take turns, A B C A B C, so that what else the machine does meets all alike. A
figure is the median of the rounds, a ratio the median of the rounds' ratios, with its range. Measurements wait for a
quiet machine and are repeated where it was not, as long as `--patience` lasts. The files are made once, in some
minutes, and kept in `--files`. The largest difference to our float32 shows that the runtimes compute the same.
"""

import argparse
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import device_files
import runtimes
from backbones import machine_line
from load import TOLERATED, Patience
from peers import Peer, Settings

HEADER = """\
| ours | beside | ms, ours : theirs | ratio |
|---|---|---|---|"""


def measure(files, settings, rounds, patience):
    """Run files in turn: {(runtime, precision): path} -> {(runtime, precision): its report, "seconds"}."""
    peers = {key: Peer(key[0], path, settings, runtimes.serve) for key, path in files.items()}
    results = {key: {**peer.report, "seconds": [], "load": []} for key, peer in peers.items()}
    for _ in range(rounds):
        for key, peer in peers.items():
            if "error" not in peer.report:
                seconds, load = patience.undisturbed(partial(peer.measure, "inference"))
                results[key]["seconds"].append(seconds)
                results[key]["load"].append(load)
    for peer in peers.values():
        peer.close()
    return results


def rows(network, results, ours):
    """Yield the table's lines: each file of ours beside each of the others."""
    for key in ours:
        for other, theirs in results.items():
            if other in ours:
                continue
            errors = [one["error"] for one in (results[key], theirs) if "error" in one]
            name, beside = f"{network} {key[1]}", " ".join(other).strip()
            if errors:
                yield f"| {name} | {beside} | {errors[0]} | |"
                continue
            pair = results[key]["seconds"], theirs["seconds"]
            ratios = [a / b for a, b in zip(*pair, strict=True)]
            times = " : ".join(f"{1000 * statistics.median(one):.1f}" for one in pair)
            ratio = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"
            yield f"| {name} | {beside} | {times} | {ratio} |"


def differences(results):
    """Yield how far the floats of each other runtime are from ours at most."""
    ours = results["LiteRT", "float32"].get("output")
    for key, result in results.items():
        if ours is not None and key != ("LiteRT", "float32") and key[1] == "float32" and "output" in result:
            yield f"{key[0]} {abs(result['output'] - ours).max():.1e}"


def _peer(text):
    network, _, path = text.partition("=")
    if network not in device_files.NETWORKS or not path:
        raise argparse.ArgumentTypeError(f"must be NETWORK=FILE of {', '.join(device_files.NETWORKS)}, received {text}")
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {path}")
    return network, Path(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=device_files.NETWORKS, default=list(device_files.NETWORKS))
    parser.add_argument("--peer", type=_peer, action="append", default=[], metavar="NETWORK=FILE")
    parser.add_argument(
        "--files", type=Path, default=Path("runs/device"), help="folder of the made files [%(default)s]"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2, help="that each measurement takes, about")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for a quiet machine, in all")
    parser.add_argument("--output", help="JSON file of all measured seconds")
    args = parser.parse_args()
    settings = Settings(batch_size=1, size=0, threads=args.threads, seconds=args.seconds, clock="wall")
    patience, networks = Patience(args.patience), {}

    print(HEADER, flush=True)
    for network in args.models:
        beside = {(path.name, ""): path for name, path in args.peer if name == network}
        if network != device_files.CLASSIFIER and not beside:
            continue
        with ProcessPoolExecutor(1, get_context("spawn")) as maker:  # this process stays without TensorFlow
            failed = maker.submit(device_files.make, args.files, network).result()
        files = device_files.names(args.files, network)
        ours = [key for key in files if key[0] == "LiteRT"]
        made = {key: path for key, path in (files | beside).items() if key not in failed}
        results = measure(made, settings, args.rounds, patience)
        results |= {key: {"error": why} for key, why in failed.items()}
        networks[network] = results
        print("\n".join(rows(network, results, ours)), flush=True)
        if network == device_files.CLASSIFIER:
            print(f"| | largest difference to our float32 | {', '.join(differences(results))} | |", flush=True)
    loads = [load for results in networks.values() for one in results.values() for load in one.get("load", [])] or [0]
    machine = machine_line(networks)
    print(
        f"\nMedians of {args.rounds} rounds; in brackets the range of the rounds' ratios. Batch 1, threads: "
        f"{args.threads}. Other programs used {statistics.median(loads):.0%} of the cores, at most {max(loads):.0%}. "
        f"{machine}"
    )
    if max(loads) > TOLERATED:
        print("The machine was not quiet: these times are not worth quoting.")
    if args.output:
        from cspkeras.files import replacing  # here, so that no runtime's process loads TensorFlow with this file

        plain = {
            network: {" ".join(key): {k: v for k, v in one.items() if k != "output"} for key, one in results.items()}
            for network, results in networks.items()
        }
        with replacing(args.output) as path:
            path.write_text(json.dumps({"machine": machine, "settings": vars(settings), "results": plain}, indent=1))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
