"""The docs' charts, of what is counted and what was measured."""

import json
import statistics

from counting import cost
from drawing import BLUE, GREEN, GREY, INK, ORANGE, figure
from file_tables import MEASURED, measured
from learning_tables import FUSIONS, learning_results, top1_of
from matplotlib.ticker import LogLocator
from tables import PUBLISHED

from cspkeras.registry import NETWORKS


def layers(path):
    """The paper's figure of each layer's compute, PeleeNet beside CSPPeleeNet."""
    with figure(path, 9, 3, 2, sharey=True) as axes:
        for ax, name, colour in zip(axes, ("PeleeNet", "CSPPeleeNet"), (ORANGE, BLUE), strict=True):
            each = [layer for layer in cost(name, 416).each if layer.bflops]
            ax.bar(range(1, len(each) + 1), [layer.bflops for layer in each], color=colour, width=0.8)
            ax.set(title=f"{name} at 416x416", xlabel="layer")
            most = max(each, key=lambda layer: layer.bflops)
            ax.text(each.index(most) + 3, most.bflops, f"{most.bflops:.4f}", va="top")
        axes[0].set_ylabel("BFLOPs")


def gradients(path):
    """How alike the gradients are that reach the entering map, and how many of them are independent."""
    known = json.loads((MEASURED / "gradients.json").read_text())
    panels = (
        ("between the halves", "between the two halves\nof the entering map", "mean absolute correlation"),
        ("entering", "all pairs of its 32 channels", "mean absolute correlation"),
        ("rank of entering", "independent of its 32 channels", "effective rank"),
    )
    colours = GREY, GREY, BLUE, ORANGE, GREEN
    with figure(path, 9.5, 3.4, 3) as axes:
        for ax, (key, title, unit) in zip(axes, panels, strict=True):
            for x, (runs, colour) in enumerate(zip(known.values(), colours, strict=True)):
                seeds = [statistics.mean(moment[key] for moment in run["epochs"][1:]) for run in runs]
                ax.bar(x, statistics.mean(seeds), color=colour, width=0.7)
                ax.plot([x] * len(seeds), seeds, "o", color=INK, ms=3)
            names = [FUSIONS.get(kind, kind).replace(" ", "\n") for kind in known]
            ax.set_xticks(range(len(known)), names, fontsize=8)
            ax.set_title(title, loc="left", fontsize=10)
            ax.set_ylabel(unit)


def depthwise(path):
    """What share of the compute and of the memory traffic each kind of layer has."""
    names = "MobileNetV2", "CSPPeleeNet", "CSPResNet50"
    kinds = {"1x1 convolution": BLUE, "3x3 or larger": GREEN, "depthwise 3x3": ORANGE, "pooling, classifier": GREY}

    def kind(layer):
        name, _, kernel = layer.kind.partition(" ")
        if name == "DepthwiseConv2D":
            return "depthwise 3x3"
        if name not in ("Conv2D", "GroupedConv2D"):
            return "pooling, classifier"
        return "1x1 convolution" if kernel == "1x1" else "3x3 or larger"

    with figure(path, 9, 2.9) as ax:
        rows = []
        for name in names:
            found = cost(name)
            for what in ("bflops", "cio"):
                shares = dict.fromkeys(kinds, 0.0)
                for layer in found.each:
                    shares[kind(layer)] += getattr(layer, what) / getattr(found, what)
                rows.append((f"{name}, {'compute' if what == 'bflops' else 'memory traffic'}", shares))
        for y, (_, shares) in enumerate(reversed(rows)):
            left = 0
            for k, colour in kinds.items():
                ax.barh(y, shares[k], left=left, color=colour, height=0.7, label=k if y == 0 else None)
                if shares[k] > 0.035:
                    ax.text(
                        left + shares[k] / 2, y, f"{shares[k]:.0%}", ha="center", va="center", color="white", fontsize=9
                    )
                left += shares[k]
        ax.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
        ax.set_xticks([])
        ax.spines[["bottom", "left"]].set_visible(False)
        ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.4, 1), frameon=False, fontsize=9)


def label(ax, text, point, at, **how):
    """Write beside a point, `at` points from it: to its left where that is negative."""
    ax.annotate(text, point, at, textcoords="offset points", ha="right" if at[0] < 0 else "left", **how)


def tradeoff(path):
    """The paper's table 1: compute as counted here, accuracy as published."""
    base = cost("PeleeNet").bflops
    shifts = {("csp", 0.25): (-6, -12), ("csp", 0.5): (-6, 5), ("fusion_last", 0.5): (7, -3)}
    with figure(path, 6.5, 3.4) as ax:
        ax.plot(base, 70.7, "s", color=GREY)
        label(ax, "PeleeNet", (base, 70.7), (-6, -12), fontsize=9)
        for row in PUBLISHED["ablation"]:
            if "top1" not in row:
                continue
            x = cost("CSPPeleeNet", fusion=row["fusion"], gamma=row["gamma"]).bflops
            colour = {"csp": BLUE, "fusion_first": ORANGE, "fusion_last": GREEN}[row["fusion"]]
            ax.plot(x, row["top1"], "o", color=colour)
            at = shifts.get((row["fusion"], row["gamma"]), (7, -3))
            label(ax, f"{FUSIONS[row['fusion']]}, gamma {row['gamma']}", (x, row["top1"]), at, fontsize=9, color=colour)
        ax.set(xlabel="BFLOPs at 224x224, counted", ylabel="ImageNet top-1 in %, published", ylim=(69, 71.8))


def which(path):
    """Published accuracy over the measured latency of the int8 file."""
    colours = {"RTMDet": BLUE, "YOLOX": ORANGE, "YOLOv": GREEN}
    left = {"RTMDet": (-5, 3), "YOLOXM": (-5, -9), "CSPResNet50": (-5, -9)}  # where others' labels would lie
    with figure(path, 7.5, 4.2) as ax:
        for name, found in measured().items():
            figures, x = NETWORKS[name].spec.published, found["int8"]["ms"]
            if figures.ap is None:
                continue
            colour = next((colour for family, colour in colours.items() if name.startswith(family)), GREY)
            ax.plot(x, figures.ap, "o", color=colour)
            at = next((at for start, at in left.items() if name.startswith(start)), (5, -9))
            label(ax, f"{name} {figures.size}", (x, figures.ap), at, fontsize=8, color=colour)
        ax.set(xscale="log", xlabel="int8, ms on two threads", ylabel="COCO AP in %, published")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")


def learning(path):
    """Accuracy over compute on CIFAR-10."""
    known, long = learning_results()
    families = {"Pelee": BLUE, "Dense": GREEN, "ResNet": ORANGE}
    elsewhere = {  # where another's label would lie
        "ResNet10": (-54, -3),
        "CSPPeleeNet, fusion first": (7, -14),
        "CSPPeleeNet, fusion last": (7, 4),
    }
    with figure(path, 7.5, 3.8) as ax:
        for name, network in known["networks"].items():
            top1 = top1_of(long, name)
            x, colour = 1e3 * network["bflops"], next(c for family, c in families.items() if family in name)
            mean = statistics.mean(top1)
            ax.plot([x] * len(top1), top1, "-", color=colour, lw=1)
            ax.plot(x, mean, "o" if name.startswith("CSP") else "s", color=colour)
            ax.annotate(
                name, (x, mean), elsewhere.get(name, (7, -3)), textcoords="offset points", fontsize=9, color=colour
            )
        ax.set(xlabel="million operations (BFLOPs / 1000) at 64x64", ylabel="top-1 on the test images, %")
        ax.margins(x=0.2, y=0.15)
