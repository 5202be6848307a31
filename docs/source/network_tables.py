"""The tables of all networks: by family, in the README, and each, in docs/guide/; detectors by what they cost."""

from counting import counted
from file_tables import KINDS, measured

from cspkeras import list_detectors, list_models
from cspkeras.registry import BACKBONE, NETWORKS

TITLES = {  # of a family's module, in the order of the table
    "peleenet": "PeleeNet",
    "resnet": "ResNet, ResNeXt",
    "densenet": "DenseNet-201",
    "densenet_elastic": "DenseNet-201",
    "darknet": "Darknet-53",
    "darknet_tiny": "Darknet-53",
    "mobilenet": "MobileNetV2",
    "cs3": "CS3",
    "cs3_gated": "CS3",
    "cspnext": "CSPNeXt",
    "paper": "the CSPNet paper's detectors",
    "yolox": "YOLOX",
    "rtmdet": "RTMDet",
    "yolo": "YOLOv3, YOLOv4, YOLOv7",
    "scaled_yolo": "YOLOv3, YOLOv4, YOLOv7",
}


def families():
    """The README's: a row for each family, and what its networks have in common."""
    yield "family", "networks", "parameters", "BFLOPs", "top-1 or AP"
    grouped = {title: [] for title in TITLES.values()}
    for name, network in NETWORKS.items():
        grouped.setdefault(family_title(network), []).append(name)
    for title, names in grouped.items():
        accuracy = [
            n.spec.published.top1 if n.kind == BACKBONE else n.spec.published.ap for n in map(NETWORKS.get, names)
        ]
        costs = [counted(name) for name in names]
        yield (
            title,
            ", ".join(_shown([f"`{name}`" for name in names])),
            _between([c.trainable / 1e6 for c in costs], "{:.1f}M"),
            _between([c.bflops for c in costs], "{:.1f}"),
            _between([one for one in accuracy if one], "{:.1f}"),
        )


def family_title(network):
    """Return what the docs call the family of a `Network`."""
    module = network.family.__name__.rpartition(".")[2]
    return TITLES.get(module, module)


def _shown(names):
    """Of a large family the first and the last."""
    return names if len(names) <= 3 else (names[0], f"… {len(names) - 2} …", names[-1])


def _between(values, pattern):
    if not values:
        return "–"
    least, most = (pattern.format(one(values)) for one in (min, max))
    return least if least == most else f"{least}–{most}"


def backbones():
    """Each backbone, a CSP network after its base."""
    yield "backbone", "parameters", "BFLOPs", "top-1", "at"
    for name in sorted(list_models(), key=lambda name: (name.removeprefix("CSP"), name.startswith("CSP"))):
        yield *_overview(name, "top1"), NETWORKS[name].spec.published.size


def detectors():
    """The README's; sizes and speeds as in docs/detectors.md."""
    yield "detector", "parameters", "BFLOPs", "COCO AP", "AP50", "at", "int8, MB", "time / YOLOXNano's"
    known = measured()
    for name in list_detectors():
        published, found = NETWORKS[name].spec.published, known.get(name, {}).get("int8")
        file = (f"{found['bytes'] / 1e6:.1f}", f"{found['ratio']:.1f}") if found else (None, None)
        yield *_overview(name, "ap"), published.ap50, published.size, *file


def _overview(name, accuracy):
    """Name, parameters and BFLOPs as counted with the published ones in brackets, and the published accuracy."""
    published, found = NETWORKS[name].spec.published, counted(name)
    parameters = f"{found.trainable:,}" + (f" ({published.params:.2f}M)" if published.params else "")
    bflops = f"{found.bflops:.3f}" + (f" ({published.bflops})" if published.bflops else "")
    return f"`{name}`", parameters, bflops, getattr(published, accuracy)


def which():
    """Detectors by what they cost: accuracies as published, the rest as counted and measured."""
    yield (
        "detector",
        "at",
        "AP",
        "parameters",
        "BFLOPs",
        "int8, MB",
        "float32, ms",
        "of YOLOXNano's",
        "int8, ms",
        "of YOLOXNano's",
        "memory, MB",
        "int8",
    )
    for name, found in measured().items():
        figures = NETWORKS[name].spec.published
        accuracy = figures.ap or f"AP50 {figures.ap50}"
        costs = f"{figures.trainable / 1e6:.2f}M", f"{counted(name).bflops:.2f}"
        speed = [cell for kind in KINDS for cell in (f"{found[kind]['ms']:.0f}", f"{found[kind]['ratio']:.1f}")]
        memory = [f"{found[kind]['memory'] / 1e6:.0f}" for kind in KINDS]
        yield f"`{name}`", figures.size, accuracy, *costs, f"{found['int8']['bytes'] / 1e6:.2f}", *speed, *memory
