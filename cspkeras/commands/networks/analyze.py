"""The sub-command `analyze`: what a network costs, layer by layer, compared with another."""

from pathlib import Path

from ..arguments import DEFAULT_MODEL, add_command, count, side

LINE = "{:<34}{:<24}{:>14}{:>12}{:>11}{:>13}{:>13}"
COLUMNS = "layer", "kind", "output", "weights", "BFLOPs", "CIO", "activations"


def add(commands):
    """Add `analyze` to the sub-commands."""
    about = "Count what a network costs, layer by layer: compute, memory traffic, activations; compare, and chart."
    parser = add_command(commands, "analyze", run, about, "CSPDarknet53 --against Darknet53")
    name = f"a name of `cspkeras models`, such as {DEFAULT_MODEL}, or a .keras file"
    parser.add_argument("model", metavar="MODEL", help=name)
    parser.add_argument("--against", metavar="BASE", help="another network to compare with: a name or a .keras file")
    parser.add_argument("--size", type=side, help="side of the input in pixels [that of the published figures]")
    parser.add_argument("--classes", type=count, help="number of classes [as published: 1000, of a detector 80]")
    parser.add_argument("--html", type=Path, metavar="FILE", help="charts and tables as one page [none]")


def run(options):
    """Print what each layer and each network costs, and write the charts where a file is given."""
    from ...analysis import complexity, peak_memory
    from ...analysis.summary import summary

    models = [_build(name, options) for name in (options.model, options.against) if name is not None]
    costs = [(model, complexity(model), peak_memory(model)) for model in models]
    for model, cost, _ in costs:
        print(f"{model.name}, {_size(model)}\n{LINE.format(*COLUMNS)}")
        for layer in cost.each:
            shape = "x".join(map(str, layer.shape))
            cells = layer.name, layer.kind, shape, f"{layer.weights:,}", f"{layer.bflops:.4f}"
            print(LINE.format(*cells, f"{layer.cio:,}", f"{layer.activations:,}"))
        print()
    for cells in summary(costs):
        print(f"{cells[0]:<44}" + "".join(f"{cell:>30}" for cell in cells[1:]).rstrip())
    if options.html:
        from ...analysis.report import write_analysis

        print(write_analysis(options.html, costs))


def _size(model):
    height, width = model.input_shape[1:3]
    return f"{width}x{height} pixels"


def _build(name, options):
    """Build a named network, or load a .keras file, which takes no options."""
    from ...names import find
    from ...registry import NETWORKS
    from ...saving import load_model

    if name.endswith(".keras"):
        if options.size or options.classes:
            raise ValueError(f"--size and --classes are for networks by name; {name} has its own")
        return load_model(name, "a network")
    found = find(name, NETWORKS, "a network's name or a .keras file", "MODEL")
    size = options.size or found.spec.published.size
    classes = {} if options.classes is None else {"classes": options.classes}
    return found.build(input_shape=(size, size, 3), **classes)
