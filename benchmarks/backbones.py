"""Speed of the backbones on the CPU beside the same networks in timm, keras-hub and keras.applications.

    pip install -e . && pip install -r benchmarks/requirements.txt
    python benchmarks/backbones.py --models CSPResNet50 CSPResNeXt50 --output results.json

Each library runs in a process of its own (peers.py). They take turns, A B C A B C, so that what else the machine does
meets all alike; a figure is the median of the rounds, a ratio the median of the rounds' ratios, with its range. Of
timm's two memory layouts the faster one counts, for each task by itself. Nothing is compiled by torch.compile or XLA,
but for the grouped convolutions of Keras' own, which it always compiles by XLA on a CPU.

PyTorch's threads wait for each other at every operation, so a second program makes it many times slower, TensorFlow
less so. Measurements therefore wait for a quiet machine and are repeated where it was not, as long as `--patience`
lasts; `--threads 1 --clock processor` counts processor time, for machines that are never quiet.

`ResNet50`, `ResNeXt50`, `Darknet53` and `DenseNet201` are Darknet's networks of these names: nearly, not exactly, the
work of their peers. `CSPDenseNet201` stands beside its base.
"""

import argparse
import json
import os
import platform
import statistics
from functools import partial

from load import TOLERATED, Patience
from machine import processor
from peers import CLOCKS, TASKS, Peer, Settings

NETWORKS = {  # ours: {library: its name there}
    "CSPResNet50": {"timm": "cspresnet50", "keras-hub": "cspresnet50"},
    "CSPResNeXt50": {"timm": "cspresnext50", "keras-hub": "cspresnext50"},
    "CSPDarknet53": {"timm": "cspdarknet53", "keras-hub": "cspdarknet53"},
    "Darknet53": {"timm": "darknet53", "keras-hub": "darknet53"},
    "ResNet50": {"timm": "resnet50", "keras.applications": "ResNet50"},
    "ResNeXt50": {"timm": "resnext50_32x4d"},
    "MobileNetV2": {"timm": "mobilenetv2_100", "keras.applications": "MobileNetV2"},
    "DenseNet201": {"timm": "densenet201", "keras.applications": "DenseNet201"},
    "CSPDenseNet201": {"keras.applications": "DenseNet201"},
}
LIBRARIES = ("timm", "keras-hub", "keras.applications")
LAYOUTS = ("timm", "timm channels_last")
HEADER = """\
| network | beside | training, images/s | ratio | inference, images/s | ratio | building, s | ratio |
|---|---|---|---|---|---|---|---|"""


def measure(network, libraries, settings, rounds, patience):
    """Run a network and its peers of `libraries` in turn.

    Returns:
        {library: {"name", "parameters", "versions", each task: [seconds per step, one per round], "load": [share of the
        cores]} or {"name", "error"}}.
    """
    names = {"cspkeras": network} | {one: name for one, name in NETWORKS[network].items() if one in libraries}
    if "timm" in names:
        names |= dict.fromkeys(LAYOUTS, names["timm"])
    peers = {library: Peer(library, name, settings) for library, name in names.items()}
    results = {library: {"name": names[library], **peer.report} for library, peer in peers.items()}
    for _ in range(rounds):
        for task in TASKS:
            for library, peer in peers.items():
                if "error" in peer.report:
                    continue
                seconds, load = patience.undisturbed(partial(peer.measure, task))
                results[library].setdefault(task, []).append(seconds)
                results[library].setdefault("load", []).append(load)
    for peer in peers.values():
        peer.close()
    return results


def compare(ours, theirs, task):
    """Return each one's median and the rounds' ratios: of speeds in training and inference, of seconds in building."""
    ratios = [t / o for o, t in zip(ours[task], theirs[task], strict=True)]
    if task == "building":
        ratios = [1 / ratio for ratio in ratios]
    return statistics.median(ours[task]), statistics.median(theirs[task]), ratios


def cells(ours, candidates, task, batch_size):
    """Format two cells of the table; of several candidates the fastest counts."""
    theirs = min(candidates, key=lambda candidate: statistics.median(candidate[task]))
    our_seconds, their_seconds, ratios = compare(ours, theirs, task)
    if task == "building":
        speeds = f"{our_seconds:.2f} : {their_seconds:.2f}"
    else:
        speeds = f"{batch_size / our_seconds:.1f} : {batch_size / their_seconds:.1f}"
    return [speeds, f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"]


def rows(network, results, batch_size):
    """Print the lines of the table for one network."""
    ours = results["cspkeras"]
    for library, name in NETWORKS[network].items():
        if library not in results:
            continue
        candidates = [results[one] for one in (LAYOUTS if library == "timm" else (library,))]
        errors = [one["error"] for one in (ours, *candidates) if "error" in one]
        if errors:
            row = [errors[0], *[""] * 5]
        else:
            row = sum((cells(ours, candidates, task, batch_size) for task in TASKS), [])
        print("|", " | ".join([network, f"{library} {name}", *row]), "|", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="which of ours")
    parser.add_argument("--beside", nargs="+", choices=LIBRARIES, default=LIBRARIES, help="which of theirs")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3, help="that each measurement takes, about")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is counted")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for a quiet machine, in all")
    parser.add_argument("--output", help="JSON file of all measured seconds")
    args = parser.parse_args()
    settings = Settings(args.batch_size, args.size, args.threads, args.seconds, args.clock)
    patience = Patience(0 if args.clock == "processor" else args.patience)

    print(HEADER, flush=True)
    results = {}
    for network in args.models:
        results[network] = measure(network, args.beside, settings, args.rounds, patience)
        rows(network, results[network], args.batch_size)
    machine = machine_line(results)
    loads = [load for libraries in results.values() for one in libraries.values() for load in one.get("load", [])] or [
        0
    ]
    print(
        f"\nOurs : theirs, medians of {args.rounds} rounds; in brackets the range of the rounds' ratios. Batches of "
        f"{args.batch_size}, {args.size}x{args.size}, float32, threads: {args.threads}, clock: {args.clock}. "
        f"Other programs used {statistics.median(loads):.0%} of the cores, at most {max(loads):.0%}. {machine}"
    )
    if args.clock == "wall" and max(loads) > TOLERATED:
        print("The machine was not quiet: these wall times, PyTorch's above all, are not worth quoting.")
    if args.output:
        from cspkeras.files import replacing  # here, so that no peer's process loads TensorFlow with this file

        with replacing(args.output) as path:
            path.write_text(json.dumps({"machine": machine, "settings": vars(args), "results": results}, indent=1))


def machine_line(results):
    """Return one line: processor, cores and the versions of all that was measured."""
    versions = {"python": platform.python_version()}
    for libraries in results.values():
        for one in libraries.values():
            versions |= one.get("versions", {})
    versions = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"{platform.machine()} {processor()}, {os.cpu_count()} cores; {versions}."


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
