"""What a network costs, counted once for all tables and charts."""

from functools import cache

from cspkeras.analysis import complexity
from cspkeras.registry import NETWORKS


@cache
def cost(name, size=None, **options):
    """`Complexity` of a network by its name, at its published size or another."""
    network = NETWORKS[name]
    size = size or network.spec.published.size
    return complexity(network.build(input_shape=(size, size, 3), **options))
