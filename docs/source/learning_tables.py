"""The tables of what CSP networks learn beside their bases, and of their gradients, on CIFAR-10."""

import json
import statistics

from file_tables import MEASURED

FUSIONS = {"csp": "CSP", "fusion_first": "fusion first", "fusion_last": "fusion last"}
SPEEDS = {"images_per_second": ".0f", "int8_ms": ".3f"}


def learning_results():
    """What the short runs gave, and the long ones on an accelerator."""
    return [json.loads((MEASURED / file).read_text()) for file in ("learning.json", "learning_long.json")]


def top1_of(results, name):
    """The top-1 in % of a network's runs, by their seeds."""
    runs = [run for run in results["runs"].values() if run["network"] == name]
    return [100 * run["top1"] for run in sorted(runs, key=lambda run: run["seed"])]


def accuracy_of(results, name):
    """The cells of a network's top-1: each seed's, and their mean."""
    top1 = top1_of(results, name)
    return ", ".join(f"{x:.1f}" for x in top1), f"{statistics.mean(top1):.1f}"


def learning():
    known, long = results = learning_results()
    budgets = [f"top-1, {part['setting']['epochs']} epoch{'s' * (part['setting']['epochs'] > 1)}" for part in results]
    seeds = [column for budget in budgets for column in (budget, "mean")]
    yield "network", "parameters", "MFLOPs at 64x64", *seeds, "training, images/s", "int8, ms"
    for name, network in known["networks"].items():
        accuracy = [cell for part in results for cell in accuracy_of(part, name)]
        speed = [format(network[key], pattern) if key in network else "–" for key, pattern in SPEEDS.items()]
        yield name, f"{network['trainable']:,}", f"{1e3 * network['bflops']:.1f}", *accuracy, *speed


def setting():
    known, long = learning_results()
    yield "what", "the short runs", "the long runs"
    for key in known["setting"]:
        yield key.replace("_", " "), known["setting"][key], long["setting"][key]
    yield "machine", "as the speeds'", long["setting"]["machine"]
    for machine, how in known["measured"].items():
        setup = f"{machine}; {how['rounds']} rounds, other programs used up to {how['load']:.0%} of the cores"
        yield "speeds", setup, "not measured"


def equal_compute():
    """The runs of CSP networks that are as costly as their bases."""
    known = json.loads((MEASURED / "learning_equal.json").read_text())
    size, epochs = known["setting"]["size"], known["setting"]["epochs"]
    yield (
        "network",
        "parameters",
        f"MFLOPs at {size}x{size}",
        "costliest layer, MFLOPs",
        f"top-1, {epochs} epochs",
        "mean",
        "int8, ms",
    )
    for name, network in known["networks"].items():
        layer, most = network["costliest"]
        costs = f"{network['trainable']:,}", f"{1e3 * network['bflops']:.2f}", f"{1e3 * most:.2f} ({layer})"
        yield name, *costs, *accuracy_of(known, name), f"{network['int8_ms']:.3f}"


def gradients():
    known = json.loads((MEASURED / "gradients.json").read_text())
    yield (
        "stage",
        "entering map, all pairs",
        "between its halves",
        "within a half",
        "independent of 32",
        "the layers' outputs",
        "accuracy",
    )
    for kind, runs in known.items():
        moments = [moment for run in runs for moment in run["epochs"][1:]]
        mean = {key: statistics.mean(moment[key] for moment in moments) for key in moments[0]}
        keys = "entering", "between the halves", "within a half"
        correlations = [f"{mean[key]:.3f}" for key in keys]
        accuracy = statistics.mean(run["accuracy"] for run in runs)
        last = f"{mean['rank of entering']:.1f}", f"{mean['layers']:.3f}", f"{accuracy:.3f}"
        yield FUSIONS.get(kind, kind), *correlations, *last
