"""What a demo is of: drawn digits, or a user's own images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from ..training.data.examples import ClassificationData, DetectionData
from ..training.recipes.recipe import Recipe

SEED = 0


@dataclass(frozen=True)
class Work:
    """What is trained, on what and how, and what the report says of it."""

    name: str  # of the network, for people
    train: DetectionData | ClassificationData
    val: DetectionData | ClassificationData  # decides which epoch is best
    held_out: DetectionData | ClassificationData  # what the files are measured on
    build: Callable[[], keras.Model]
    training: Recipe
    quantization: Recipe
    calibration: int  # images that the ranges of 8 bits begin with; 0: the training alone finds them
    summary: str
    notes: Sequence[str]
    plan: Mapping[str, Any] | None = None  # what was decided for this run, as JSON holds it


@dataclass(frozen=True)
class Case:
    """A demo that can be asked for."""

    command: str  # that runs it
    # Of the plan of the run that is resumed, None for a new one, and of a function that says a line.
    prepare: Callable[[Mapping[str, Any] | None, Callable[[str], None]], Work]
    constants: Mapping[str, Any] = field(default_factory=dict)  # that decide the results, as JSON holds them
