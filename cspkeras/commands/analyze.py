"""The sub-command `analyze`: what a network costs, layer by layer, beside another."""

from pathlib import Path

from ..analysis.summary import summary
from .arguments import MODEL

LINE = "{:<34}{:<24}{:>14}{:>12}{:>11}{:>13}{:>13}"
COLUMNS = "layer", "kind", "output", "weights", "BFLOPs", "CIO", "activations"


def add(commands, size, count):
    """Add `analyze` to the sub-commands; `size` and `count` read their arguments."""
    help = "What a network costs, layer by layer: compute, memory traffic, activations; beside another, and as charts."
    parser = commands.add_parser("analyze", help=help, description=help)
    parser.set_defaults(run=_analyze)
    parser.add_argument(
        "model", metavar="MODEL", help=f"a name of `cspkeras models`, such as {MODEL}, or a .keras file"
    )
    parser.add_argument("--against", metavar="BASE", help="another to compare with, named alike")
    parser.add_argument("--size", type=size, help="side of the input in pixels [that of the published figures]")
    parser.add_argument("--classes", type=count, help="of a named network [as published: 1000, of a detector 80]")
    parser.add_argument("--html", type=Path, metavar="FILE", help="charts and tables as one page [none]")


def _analyze(options):
    from ..analysis import complexity, peak_memory

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
        from ..analysis.report import write_analysis

        print(write_analysis(options.html, costs))


def _size(model):
    height, width = model.input_shape[1:3]
    return f"{width}x{height} pixels"


def _build(name, options):
    """The network of a name or a .keras file.

    Raises:
        OSError: for a file that is missing.
        ValueError: for an unknown name, options that a file does not take, or a file that can't be loaded.
    """
    from ..registry import network
    from ..saving import load_model

    if name.endswith(".keras"):
        if options.size or options.classes:
            raise ValueError(f"--size and --classes are for networks by name; {name} has its own")
        return load_model(name, "a network")
    found = network(name, argument="MODEL", whose="a network's name or a .keras file")
    size = options.size or found.spec.published.size
    classes = {} if options.classes is None else {"classes": options.classes}
    return found.build(input_shape=(size, size, 3), **classes)
