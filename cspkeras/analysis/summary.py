"""Total costs of networks as rows of text."""


def summary(costs):
    """Yield the totals as rows of text, the networks' names first; for two networks with the difference in percent.

    `costs` are (model, `Complexity`, `Peak`) of one network, or of a network and its base.
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
    """Return by how many percent a value differs from its base, as text."""
    return f"{100 * (value / base - 1):+.1f} %".replace("-", "−")
