"""How to train, as data: a `Recipe`, read from a short TOML file and changed by key=value settings."""

import dataclasses
import difflib
import inspect
import math
import os
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from ...limits import TEXT
from ..production.template import MOST_WORKERS

FOLDER = Path(__file__).parent
AUTO = "auto"
BASE = "base"  # key of a recipe's file: the recipe that it changes
MOST_BASES = 50  # in a row
CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "flat_cosine", "poly", "step", "constant"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
}
MINIMUM = {  # of the numbers that have one
    **dict.fromkeys(("epochs", "batch_size", "evaluate_every", "accumulate"), 1),
    **dict.fromkeys(("learning_rate", "weight_decay", "warmup_epochs", "warmup_power", "clip_norm", "power"), 0),
    **dict.fromkeys(("momentum", "ema", "freeze", "patience", "save_every", "seed", "final_rate", "last_epochs"), 0),
    "data_workers": 0,
}
LARGEST = sys.float_info.max
LIMIT = {"momentum": 1, "ema": 1, "seed": 2**32, "final_rate": 1, "data_workers": MOST_WORKERS + 1}


@dataclass(frozen=True)
class Recipe:
    """How to train: the argument of `fit`, or a TOML file of the same keys for `cspkeras train --recipe`.

    Attributes:
        epochs: passes over the training examples.
        batch_size: images per step, or "auto" for as many as fit; see `batch_size.largest_batch_size`.
        accumulate: steps whose gradients are averaged before the weights change; Keras 3 models only.
        optimizer: "adamw" or "sgd", the latter with plain momentum.
        learning_rate: the rate after the warm-up.
        momentum: momentum of SGD, 0 to 1.
        weight_decay: share that a step takes from the convolutions' kernels, times the rate; norms and biases are
            spared. It is decoupled from the gradient: SGD with an L2 penalty of d and momentum m equals a decay of
            d / (1 - m) here.
        clip_norm: largest norm of all gradients together; 0 for no clipping.
        schedule: what the rate does after the warm-up: fall along a "cosine", only in the run's second half with
            "flat_cosine", along a polynomial ("poly"), by "step"s, or stay ("constant"); see `schedules.learning_rate`.
        final_rate: share of the rate at which both cosines end, 0 to 1.
        power: exponent of "poly".
        milestones: points of the run, 0 to 1, after each of which "step" divides the rate by ten.
        warmup_epochs: epochs over which the rate rises; a fifth of the run at most.
        warmup_power: exponent of that rise: 1 for a straight line, 4 for Darknet's burn-in.
        ema: what a step keeps of the weights' exponential moving average, such as 0.9998; the average is then evaluated
            and exported in place of the weights. 0 for no average.
        precision: "float32", "mixed_float16" or "mixed_bfloat16"; the model must be built under that policy.
        jit_compile: whether XLA compiles the step; None leaves it to Keras. Keras 3 models only.
        freeze: stages that are not trained: 3 for the stem and stages 1 to 3, 0 for none; Keras 3 models only.
        evaluate_every: epochs between two measurements on the validation data.
        patience: epochs without a better measurement after which the run ends; 0 for no limit.
        save_every: seconds between two saved states; the end of an epoch is always saved.
        data_workers: processes that decode and augment the training images; 0 for threads of the run's own process,
            None for as many as suit machine and data, see `training_batches`. They decide nothing but the speed.
        tensorboard: whether the run's folder gets a log for TensorBoard, scalars and images.
        seed: seed of the order and the augmentation.
        augment: options of `Augmentation`, for a classifier `ClassificationAugmentation`.
        last_augment: those that differ in the run's last epochs, such as mosaic=0.
        last_epochs: how many epochs these are; a fifth of the run at most.
        loss: options of the detector's loss, such as box="giou"; for a classifier label_smoothing and class_weights.
        model: arguments of the model's constructor, for `cspkeras train`.

    Raises:
        ValueError: for a value of another type or out of its range.

    Example:
        >>> recipe = Recipe(epochs=40, batch_size=8, augment={"mosaic": 0.3})
        >>> recipe.optimizer, recipe.learning_rate
        ('adamw', 0.002)
        >>> Recipe(epochs=0)
        Traceback (most recent call last):
        ...
        ValueError: epochs must be at least 1. Received: epochs=0
    """

    epochs: int = 100
    batch_size: int | str = 16
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 5e-3
    clip_norm: float = 10.0
    schedule: str = "cosine"
    final_rate: float = 0.0
    power: float = 4.0
    milestones: tuple[float, ...] = (0.8, 0.9)
    warmup_epochs: float = 2.0
    warmup_power: float = 1.0
    ema: float = 0.0
    precision: str = "float32"
    jit_compile: bool | None = None
    freeze: int = 0
    evaluate_every: int = 1
    patience: int = 0
    save_every: float = 600.0
    data_workers: int | None = None
    tensorboard: bool = False
    seed: int = 0
    augment: dict = field(default_factory=dict)
    last_augment: dict = field(default_factory=dict)
    last_epochs: int = 0
    loss: dict = field(default_factory=dict)
    model: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            object.__setattr__(self, one.name, _typed(one.name, getattr(self, one.name), KINDS[one.name]))
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}. Received: {name}={value!r}")
        for name, least in MINIMUM.items():
            value, limit = getattr(self, name), LIMIT.get(name, math.inf)
            if value not in (AUTO, None) and not least <= value < limit:
                bounds = f"at least {least}" + (f" and below {limit}" if name in LIMIT else "")
                raise ValueError(f"{name} must be {bounds}. Received: {name}={value}")

    @property
    def switch(self) -> int:
        """The first of the last epochs, from 0, in which `last_augment` holds; `epochs` where there are none."""
        return self.epochs - min(self.last_epochs, self.epochs // 5)

    def augment_of(self, epoch: int) -> dict:
        """Return the options of the augmentation in an epoch, from 0."""
        return self.augment if epoch < self.switch else {**self.augment, **self.last_augment}


KINDS = {one.name: one.type for one in dataclasses.fields(Recipe)}
DESCRIPTIONS = {  # of the types, for errors
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    dict: "a table",
    int | None: "a whole number",
    int | str: f'a whole number or "{AUTO}"',
    tuple[float, ...]: "a list of numbers",
    bool | None: "true or false",
}


def load_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Load one of the package's recipes or a recipe's file.

    Args:
        name: one of the package's recipes, such as "finetune", or the path of a .toml file. The file has keys of
            `Recipe`, and may have `base`, the name of one of the package's recipes or the path, relative to the file,
            of another file: the file then holds only what differs from that recipe.

    Returns:
        The recipe.

    Raises:
        OSError: for a file that can't be read.
        ValueError: for an unknown name, a file that is not TOML, an unknown key or a wrong value in it, and files that
            are each other's base.

    Example:
        >>> load_recipe("finetune").epochs
        40
    """
    return _load(_path(name, "recipe "), ())


def _load(path, bases):
    if path.resolve() in [one.resolve() for one in bases]:
        chain = " -> ".join(map(str, (*bases, path)))
        raise ValueError(f"{bases[-1]}: {BASE} must not lead back to a file before it. Received: {chain}")
    try:
        TEXT.check(path.stat().st_size, path)
        text = path.read_bytes()
    except FileNotFoundError as e:
        source = f"{bases[-1]}: {BASE}: " if bases else ""
        raise FileNotFoundError(f"{source}{path}: missing; expected a recipe") from e
    try:
        values = tomllib.loads(text.decode())
    except (RecursionError, ValueError) as e:
        raise ValueError(f"{path}: not TOML ({e})") from e
    if len(bases) == MOST_BASES:
        raise ValueError(f"{bases[0]}: {BASE} leads over more than {MOST_BASES} files")
    recipe = Recipe()
    if BASE in values:
        base = _typed(BASE, values.pop(BASE), str, f"{path}: ")
        recipe = _load(_path(base, f"{path}: {BASE} ", path.parent), (*bases, path))
    return changed(recipe, values, f"{path}: ")


def _path(name, what, folder=Path()):
    """Return the path of a recipe's file; `what` begins the error for an unknown name."""
    if Path(name).suffix == ".toml":
        return folder / name
    if str(name) not in recipe_names():
        near = difflib.get_close_matches(str(name), recipe_names(), 3, 0.4) or recipe_names()
        raise ValueError(
            f"{what}must be a .toml file or one of the package's, such as {', '.join(near)}. Received: {name}"
        )
    return FOLDER / f"{name}.toml"


def recipe_names():
    """Return the names of the package's recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def changed(recipe, values, where=""):
    """Return `recipe` with other values by key; a table's keys are changed one by one.

    `where` the values come from begins each error: a wrong value, or an unknown key, with the nearest known one.
    """
    for name, value in values.items():
        if name not in KINDS:
            raise ValueError(f"{where}{unknown(name, KINDS)}")
        if KINDS[name] is dict and isinstance(value, dict):
            values = {**values, name: {**getattr(recipe, name), **value}}
    try:
        return dataclasses.replace(recipe, **values)
    except ValueError as e:
        raise ValueError(f"{where}{e}") from e


def settings(pairs):
    """Return the values by key of "key=value" texts, such as "augment.mosaic=0.3".

    Values are written as in TOML, texts also without quotes.
    """
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        table, _, inner = key.strip().rpartition(".")
        if not (equals and inner):
            raise ValueError(f"--set {pair}: expected key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        if table:
            values[table] = {**values.get(table, {}), inner: value}
        else:
            values[inner] = value
    return values


def check_options(name, options, function):
    """Raise a ValueError for options, those of the recipe's table `name`, that are not keywords of `function`."""
    known = [key for key, one in inspect.signature(function).parameters.items() if one.default is not one.empty]
    for key in options:
        if key not in known:
            raise ValueError(unknown(f"{name}.{key}", [f"{name}.{one}" for one in known]))


def unknown(name, known):
    """Return the error message for an unknown key."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"unknown key {name}" + (f", did you mean {near[0]}?" if near else f"; known are {', '.join(known)}")


def _typed(name, value, kind, where=""):
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = whole or isinstance(value, float)
    if kind is float and number and -LARGEST <= value <= LARGEST:
        return float(value)
    if kind == tuple[float, ...] and isinstance(value, list | tuple):
        return tuple(_typed(name, one, float) for one in value)
    fits = {
        int: whole,
        str: isinstance(value, str),
        dict: isinstance(value, dict),
        bool: isinstance(value, bool),
        int | None: whole or value is None,
        int | str: whole or value == AUTO,
        bool | None: value is None or isinstance(value, bool),
    }
    if not fits.get(kind, False):
        raise ValueError(f"{where}{name} must be {DESCRIPTIONS[kind]}. Received: {name}={value!r}")
    return value
