"""The sub-command `analyze`: what a network costs, layer by layer, beside another."""

from pathlib import Path

from .train_command import MODEL

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
    from .analysis import complexity, peak_memory

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
        from .training.analysis_report import write_analysis

        print(write_analysis(options.html, costs))


def summary(costs):
    """The totals as rows of text, the first of names; with a second network its part in the difference.

    Args:
        costs: (model, `Complexity`, `Peak`) of one network, or of two of which the second is the base.
    """
    yield "", *(model.name for model, *_ in costs), *(["difference"] if len(costs) > 1 else [])
    for name, value, pattern in (
        ("trainable parameters", lambda cost, peak: cost.trainable, "{:,}"),
        ("weights of convolutions and dense layers", lambda cost, peak: cost.weights, "{:,}"),
        ("BFLOPs", lambda cost, peak: cost.bflops, "{:.4f}"),
        ("costliest layer, BFLOPs", lambda cost, peak: cost.costliest[1], "{:.4f}"),
        ("memory traffic (CIO), elements", lambda cost, peak: cost.cio, "{:,}"),
        ("activations of these layers, elements", lambda cost, peak: sum(x.activations for x in cost.each), "{:,}"),
        ("most activations at once, elements", lambda cost, peak: peak.elements, "{:,}"),
    ):
        values = [value(*rest) for _, *rest in costs]
        yield name, *map(pattern.format, values), *([change(*values)] if len(costs) > 1 else [])
    yield "the costliest layer", *(cost.costliest[0] for _, cost, _ in costs)
    yield "the layer with most activations at once", *(peak.layer for *_, peak in costs)


def change(value, base):
    """By how much a value differs from its base, in percent."""
    return f"{100 * (value / base - 1):+.1f} %".replace("-", "−")


def _size(model):
    height, width = model.input_shape[1:3]
    return f"{width}x{height} pixels"


def _build(name, options):
    """The network of a name or a .keras file.

    Raises:
        OSError: for a file that is missing.
        ValueError: for an unknown name, options that a file does not take, or a file that can't be loaded.
    """
    from .backbones import registry as backbones
    from .backbones.registry import by_name
    from .detection import registry as detectors

    if name.endswith(".keras"):
        if options.size or options.classes:
            raise ValueError(f"--size and --classes are for networks by name; {name} has its own")
        return _load(Path(name))
    spec = by_name(name, {**backbones.VARIANTS, **detectors.VARIANTS}, "a network's name or a .keras file", "MODEL")
    get = backbones.get_model if name in backbones.VARIANTS else detectors.get_detector
    size = options.size or spec.published.size
    classes = {} if options.classes is None else {"classes": options.classes}
    return get(name, input_shape=(size, size, 3), **classes)


def _load(path):
    import keras

    import cspkeras  # noqa: F401  its layers are known to Keras then

    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; expected a .keras file")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as e:  # Keras raises what the zip and HDF5 readers below it happen to raise
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise ValueError(f"{path}: not a .keras file that can be loaded ({reason})") from e
