"""The tables of the docs: what the paper says, from published.toml, and what is counted here."""

import tomllib
from pathlib import Path

import keras
from counting import cost, counted
from file_tables import agreement, applications, files
from keras import layers
from learning_tables import FUSIONS, equal_compute, gradients, learning, setting
from network_tables import backbones, detectors, families, which
from reading_tables import faults, fuzzed, limits
from scale_tables import crowds, reading, scale_setting, serial, workers

from cspkeras import get_detector, list_detectors, list_models
from cspkeras.analysis import complexity
from cspkeras.backbones import timm_layout
from cspkeras.layers import Maxout
from cspkeras.registry import NETWORKS

PUBLISHED = tomllib.loads((Path(__file__).parent / "published.toml").read_text(encoding="utf-8"))


def saved(base, csp):
    """Percent saved."""
    return 100 * (1 - csp / base)


def percent(value):
    return f"{-value:+.1f} %".replace("-", "−")


def agrees(ours, published, digits=0):
    return "yes" if round(ours, digits) == published else f"no, by {abs(ours - published):.{max(1, digits)}f}"


def savings():
    yield (
        "CSP network",
        "base",
        "BFLOPs of the base, published",
        "counted",
        "BFLOPs, published",
        "counted",
        "saved, published",
        "counted",
        "agrees",
    )
    for row in PUBLISHED["saving"]:
        base, csp = (counted(row[kind]).bflops for kind in ("base", "csp"))
        said = {kind: row.get(f"{kind}_bflops", NETWORKS[row[kind]].spec.published.bflops) for kind in ("base", "csp")}
        figures = said["base"], f"{base:.3f}", said["csp"], f"{csp:.3f}"
        found = saved(base, csp)
        yield (
            row["csp"],
            row["base"],
            *figures,
            f"−{row['published']} %",
            percent(found),
            agrees(found, row["published"]),
        )


def networks():
    yield "network", "at", "weights, published", "counted", "BFLOPs, published", "counted", "agrees"
    for name in list_models():
        known = NETWORKS[name].spec.published
        if known.bflops is None:
            continue
        found = counted(name)
        digits = len(str(known.bflops).partition(".")[2])
        weights = "–" if known.params is None else f"{known.params:.2f}M"
        figures = weights, f"{found.weights / 1e6:.2f}M", known.bflops, f"{found.bflops:.{digits + 1}f}"
        fits = known.params is None or round(found.weights / 1e6, 2) == known.params
        answer = agrees(found.bflops, known.bflops, digits)
        yield (
            name,
            known.size,
            *figures,
            answer if fits else f"weights by {abs(found.weights / 1e6 - known.params):.2f}M",
        )


def independent():
    yield "network", "timm's weights", "recipe", "measured at", "top-1", "parameters", "BFLOPs at that size"
    for row in PUBLISHED["independent"]:
        if "ours" in row:
            found = counted(row["ours"])
            parameters, bflops, side = found.trainable / 1e6, found.bflops, NETWORKS[row["ours"]].spec.published.size
        else:
            parameters, bflops, side = row["parameters"], 2 * row["gmacs"], 224
        top1 = row.get("top1") or timm_layout.VARIANTS[row["ours"]].published.top1
        figures = f"{top1:.2f}", f"{parameters:.1f}M", f"{bflops * (row['size'] / side) ** 2:.1f}"
        yield row["name"], f"`{row['weights']}`", row["recipe"], row["size"], *figures


def bottlenecks():
    yield (
        "costliest layer at 416x416",
        "PeleeNet's, published",
        "counted",
        "CSPPeleeNet's, published",
        "counted",
        "difference, published",
        "counted",
    )
    base, csp = cost("PeleeNet", 416).costliest[1], cost("CSPPeleeNet", 416).costliest[1]
    for row in PUBLISHED["bottleneck"]:
        if "head" in row:
            side, channels, filters = row["head"]
            image = layers.Input((side, side, channels))
            base = complexity(keras.Model(image, layers.Conv2D(filters, 3, padding="same")(image))).bflops
        figures = f"{row['base']:.4f}", f"{base:.4f}", f"{row['csp']:.4f}", f"{csp:.4f}"
        yield row["name"], *figures, f"−{row['published']} %", percent(saved(base, csp))


def traffic():
    yield "network at 256x256", "CIO, published", "counted, elements", "agrees"
    for row in PUBLISHED["cio"]:
        found = counted(row["name"]).cio
        yield row["name"], f"{row['published']}M", f"{found:,}", agrees(found / 1e6, row["published"], 1)


def dense_block(channels, count, growth):
    """A dense block as the formula has it: each layer one convolution, on one pixel."""
    image = x = layers.Input((1, 1, channels))
    for _ in range(count):
        x = layers.Concatenate()([x, layers.Conv2D(growth, 1)(x)])
    return keras.Model(image, x)


def blocks():
    yield (
        "channels c, layers m, growth d",
        "dense: c·m + (m² + m)·d / 2",
        "counted",
        "partial dense: (c·m + (m² + m)·d) / 2",
        "counted",
        "difference",
    )
    for c, m, d in PUBLISHED["blocks"]["sizes"]:
        dense, partial = c * m + (m * m + m) * d // 2, (c * m + (m * m + m) * d) // 2
        counted = [complexity(dense_block(channels, m, d)).cio for channels in (c, c // 2)]
        yield (
            f"{c}, {m}, {d}",
            f"{dense:,}",
            f"{counted[0]:,}",
            f"{partial:,}",
            f"{counted[1]:,}",
            percent(saved(*counted)),
        )


def pyramid():
    yield "map at 416x416", "channels", "elements", "after cross-channel pooling", "saved, published", "counted"
    model = get_detector(PUBLISHED["pyramid"]["detector"])
    levels = {416 // stride: level for level, stride in (("P2", 4), ("P3", 8), ("P4", 16), ("P5", 32))}
    total = [0, 0]
    for layer in sorted((x for x in model.layers if isinstance(x, Maxout)), key=lambda x: (-x.input.shape[1], x.name)):
        (side, _, entering), filters = layer.input.shape[1:], layer.filters
        before, after = side * side * entering, side * side * filters
        if entering == 4 * filters:
            total = [total[0] + before, total[1] + after]
        channels = f"{entering} to {filters}"
        yield levels[side], channels, f"{before:,}", f"{after:,}", "–", percent(saved(before, after))
    published = f"−{PUBLISHED['pyramid']['published']} %"
    yield "together, four to one", "–", f"{total[0]:,}", f"{total[1]:,}", published, percent(saved(*total))


def ablation():
    yield "CSPPeleeNet at 224x224", "gamma", "parameters", "BFLOPs", "saved, published", "counted", "top-1, published"
    base = counted("PeleeNet")
    yield "PeleeNet, its base", "–", f"{base.trainable:,}", f"{base.bflops:.3f}", "–", "–", 70.7
    for row in PUBLISHED["ablation"]:
        found = cost("CSPPeleeNet", fusion=row["fusion"], gamma=row["gamma"])
        published = f"−{row['published']} %" if "published" in row else "–"
        figures = f"{found.trainable:,}", f"{found.bflops:.3f}", published, percent(saved(base.bflops, found.bflops))
        yield FUSIONS[row["fusion"]], row["gamma"], *figures, row.get("top1", "–")


def detection():
    yield "detector", "at", "BFLOPs, published", "counted", "agrees"
    published = {name: NETWORKS[name].spec.published.bflops for name in list_detectors()}
    rows = [(name, {}, bflops) for name, bflops in published.items() if bflops]
    rows += [("CSPPeleeNetEFM", {"sam": False}, 4.868), ("CSPPeleeNetEFM", {"sam": False, "spp": True}, 4.863)]
    for name, options, published in sorted(rows, key=lambda row: row[0]):
        found, digits = (
            (cost(name, **options) if options else counted(name)).bflops,
            len(str(published).partition(".")[2]),
        )
        call = f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})" if options else name
        size = NETWORKS[name].spec.published.size
        yield call, size, published, f"{found:.{digits + 1}f}", agrees(found, published, digits)


TABLES = {
    table.__name__: table
    for table in (
        savings,
        networks,
        independent,
        bottlenecks,
        traffic,
        blocks,
        pyramid,
        ablation,
        detection,
        families,
        backbones,
        detectors,
        learning,
        setting,
        equal_compute,
        gradients,
        applications,
        which,
        files,
        agreement,
        reading,
        workers,
        serial,
        crowds,
        scale_setting,
        limits,
        fuzzed,
        faults,
    )
}


def markdown(name):
    """A table by its name, as Markdown."""
    head, *rows = TABLES[name]()
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join('–' if cell is None else str(cell) for cell in line)} |" for line in lines)
