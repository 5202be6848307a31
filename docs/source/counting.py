"""What is counted of the networks: parameters, BFLOPs and memory traffic."""

import json
from functools import cache
from types import SimpleNamespace

from file_tables import MEASURED

from cspkeras.analysis import complexity
from cspkeras.registry import NETWORKS

COUNTED = MEASURED / "counted.json"
KEPT = "trainable", "weights", "bflops", "cio"


def count():
    """Count every network, at its published size, for `COUNTED`: minutes."""
    return {name: {figure: getattr(cost(name), figure) for figure in KEPT} for name in NETWORKS}


@cache
def counted(name):
    """`KEPT` of a network by its name, as `COUNTED` has them: tests hold it against the networks."""
    return SimpleNamespace(**json.loads(COUNTED.read_text())[name])


@cache
def cost(name, size=None, **options):
    """`Complexity` of a network by its name, at its published size or another."""
    network = NETWORKS[name]
    size = size or network.spec.published.size
    return complexity(network.build(input_shape=(size, size, 3), **options))
