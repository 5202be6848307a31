"""What a network costs."""

from .complexity import Complexity, LayerCost, complexity
from .memory import Peak, peak_memory

__all__ = ["Complexity", "LayerCost", "Peak", "complexity", "peak_memory"]
