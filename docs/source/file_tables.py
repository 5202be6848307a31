"""The tables on networks as files, from files.json and keras_applications.json."""

import json
from collections import Counter
from pathlib import Path

from cspkeras import list_detectors, list_models

KINDS = "float32", "int8"
MEASURED = Path(__file__).parent.parent / "measured"


def files():
    known = json.loads((MEASURED / "files.json").read_text())["networks"]
    kinds = list(next(iter(known.values()))["files"])
    yield (
        "network",
        *(f"{kind}, MB" for kind in kinds),
        "of the floats' size",
        "all on the GPU",
        "on Ethos-U65",
        "norms left",
    )
    for name in (*list_models(), *list_detectors()):
        if name not in known:
            continue
        files = known[name]["files"]
        sizes = [files[kind]["bytes"] for kind in kinds]
        ratios = ", ".join(f"{size / sizes[0]:.3f}" for size in sizes[1:])
        refused = [kind for kind in kinds if not files[kind]["delegated"]]
        whole = f"not {', '.join(refused)}" if refused else "yes"
        row = ratios, whole, on_npu(known[name].get("npu")), known[name]["lone_norms"]
        yield name, *(f"{size / 1e6:.2f}" for size in sizes), *row


def on_npu(found):
    """The share of a file's operations that an NPU takes, and what it leaves."""
    if not found or not found["left"]:
        return found and "100 %"
    left = Counter(operation["kind"] for operation in found["left"])
    return f"{1000 * found['share'] // 1 / 10} %, not {', '.join(f'{count} {kind}' for kind, count in left.items())}"


def agreement():
    known = json.loads((MEASURED / "files.json").read_text())["networks"]
    kinds = list(next(iter(known.values()))["files"])
    yield "network", *(f"{kind}: CPU to Keras, GPU to CPU" for kind in kinds)
    for name in (*list_models(), *list_detectors()):
        if name in known:
            files = [known[name]["files"][kind] for kind in kinds]
            yield name, *(f"{file['cpu_to_keras']['rms']:.0e}, {file['gpu_to_cpu']['rms']:.0e}" for file in files)


def measured():
    """{detector: what detectors.py measured}, the quickest first."""
    known = json.loads((MEASURED / "detectors.json").read_text())["detectors"]
    return dict(sorted(known.items(), key=lambda item: item[1]["int8"]["ms"]))


def applications():
    yield (
        "network",
        "noise",
        "alone",
        "MB",
        "alone",
        "in floats",
        "alone",
        "seconds, over the converter's",
    )
    for row in json.loads((MEASURED / "keras_applications.json").read_text()):
        ours, alone = row["ours"], row["alone"]
        yield (
            row["network"],
            *(f"{one['noise']:.4f}" for one in (ours, alone)),
            *(f"{one['megabytes']:.1f}" for one in (ours, alone)),
            *(one["floats"] for one in (ours, alone)),
            f"{ours['seconds'] / alone['seconds']:.1f}",
        )
