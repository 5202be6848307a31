"""What a network costs."""

from .complexity import Complexity, complexity

__all__ = ["Complexity", "complexity"]
