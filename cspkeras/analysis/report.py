"""Write what networks cost as one HTML page: totals, charts with a bar for each layer, and tables."""

from math import nan

from markupsafe import Markup

from ..reports.page import cell, panel, panels, plot, table, text_cell, write_page
from .summary import summary

CHARTS = (  # title, unit, value of a layer
    ("Compute", "BFLOPs", lambda layer: layer.bflops),
    ("Memory traffic (CIO)", "million elements", lambda layer: layer.cio / 1e6),
    ("Activations", "million elements", lambda layer: layer.activations / 1e6),
)
NAMES = "Layer", "Kind", "Output", "Weights", "BFLOPs", "CIO", "Activations"


def write_analysis(path, costs):
    """Write the page of `costs`, as `summary` takes them; return its path. A complete page alone replaces a file."""
    names = [model.name for model, *_ in costs]
    (_, *columns), *rows = summary(costs)
    lines = [(name, list(map(text_cell, texts))) for name, *texts in rows]
    sections = [("Totals", table("Totals", ("", *columns), lines))]
    sections += [(title, _charts(costs, title, unit, value)) for title, unit, value in CHARTS]
    sections += [(f"Layers of {model.name}", _layers(cost)) for model, cost, _ in costs]
    size = " and ".join(dict.fromkeys("{2}x{1}".format(*model.input_shape) for model, *_ in costs))
    text = f"What each layer of {' and '.join(names)} costs for one image of {size} pixels, by the paper's rules."
    notes = [
        "BFLOPs: twice the multiply-adds of convolutions and dense layers and the comparisons of max-poolings, in 1e9.",
        "CIO: the elements that convolutions, dense layers, poolings and the softmax read and write.",
        "Most activations at once: what must be held in Keras' order of the layers; a feature map lives from the layer "
        "that makes it to the last that reads it, batch-norms and activations work in place.",
    ]
    return write_page(path, " beside ".join(names), text, sections, notes)


def _charts(costs, title, unit, value):
    """Return a panel for each network, with the same axes: a bar for each layer, in the order of the graph."""
    values = [[value(layer) for layer in cost.each] for _, cost, _ in costs]
    reach = max(map(len, values)), max(map(max, values))
    charts = []
    for k, (model, *_) in enumerate(costs):
        bars = [point for i, v in enumerate(values[k], 1) for point in ((i, 0), (i, v), (nan, nan))]
        drawing = plot([(f"curve bars run{k}", bars)], "layer", unit, whole=True, reach=reach)
        charts.append(panel(model.name, f"{title} of each layer of {model.name}", "", drawing))
    return panels(*charts)


def _layers(cost):
    rows = []
    for layer in cost.each:
        texts = [text_cell(layer.kind), text_cell("x".join(map(str, layer.shape))), cell(layer.weights, "{:,.0f}")]
        numbers = [cell(layer.bflops, "{:.4f}"), cell(layer.cio, "{:,.0f}"), cell(layer.activations, "{:,.0f}")]
        rows.append((layer.name, texts + numbers))
    return Markup('<div class="layers">{}</div>').format(table("Layers", NAMES, rows))
