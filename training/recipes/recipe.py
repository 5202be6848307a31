"""How to train, as data: a `Recipe`, read from a short TOML file and changed by `key=value`."""

import dataclasses
import difflib
import inspect
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
AUTO = "auto"
CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "poly", "step", "constant"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
}
LEAST = {  # of each number; what is not here may be any
    **dict.fromkeys(("epochs", "batch_size", "evaluate_every", "accumulate"), 1),
    **dict.fromkeys(("learning_rate", "weight_decay", "warmup_epochs", "warmup_power", "clip_norm", "power"), 0),
    **dict.fromkeys(("momentum", "ema", "freeze", "patience", "save_every", "seed"), 0),
}
BELOW = {"momentum": 1, "ema": 1, "seed": 2**32}


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training examples.
        batch_size: images a step, or "auto"; see `batch_size.resolve`.
        accumulate: steps whose gradients are averaged before the weights change; Keras 3 models alone.
        optimizer: "adamw" or "sgd", the latter with plain momentum.
        learning_rate: after the warm-up.
        momentum: of SGD, 0 to 1.
        weight_decay: what a step takes from the convolutions' kernels, times the rate; norms and biases are spared. It
            is apart from the gradient: SGD with an L2 penalty of d and momentum m is a decay of d / (1 - m) here.
        clip_norm: largest norm of all gradients together; 0 for none.
        schedule: what the rate does after the warm-up: falls to nothing along a "cosine" or a polynomial ("poly"), by
            "step"s, or stays ("constant"); see `schedules.rate`.
        power: of the polynomial.
        milestones: parts of the run, 0 to 1, after each of which "step" takes a tenth of the rate.
        warmup_epochs: epochs over which the rate rises; a fifth of all at most.
        warmup_power: of that rise: 1 for a straight line, 4 for Darknet's burn-in.
        ema: of the weights' exponential moving average, which is evaluated and exported, what a step keeps, such as
            0.9998; 0 for no average.
        precision: "float32", "mixed_float16" or "mixed_bfloat16"; the model must be built under that policy.
        jit_compile: whether XLA compiles the step; None leaves it to Keras. Keras 3 models alone.
        freeze: stages that are not trained: 3 for the stem and stages 1 to 3, 0 for none; Keras 3 models alone.
        evaluate_every: epochs between two measurements on the validation data.
        patience: epochs without a better measurement after which the run ends; 0 for none.
        save_every: seconds between two saved states; the end of an epoch is always saved.
        tensorboard: whether the run's folder gets a log for TensorBoard, scalars and images.
        seed: decides order and augmentation.
        augment: options of `augmentation.Augmentation`, for a classifier `ClassificationAugmentation`.
        loss: options of the detector's loss, such as box="giou"; for a classifier label_smoothing and class_weights.
        model: arguments of the model's constructor, for `cspkeras train`.

    Raises:
        ValueError: for a value out of its range.
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
    tensorboard: bool = False
    seed: int = 0
    augment: dict = field(default_factory=dict)
    loss: dict = field(default_factory=dict)
    model: dict = field(default_factory=dict)

    def __post_init__(self):
        for one in dataclasses.fields(self):
            object.__setattr__(self, one.name, _typed(one.name, getattr(self, one.name), KINDS[one.name]))
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}. Received: {name}={value!r}")
        for name, least in LEAST.items():
            value, below = getattr(self, name), BELOW.get(name, math.inf)
            if value != AUTO and not least <= value < below:
                limits = f"at least {least}" + (f" and below {below}" if name in BELOW else "")
                raise ValueError(f"{name} must be {limits}. Received: {name}={value}")


KINDS = {one.name: one.type for one in dataclasses.fields(Recipe)}
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    dict: "a table",
    int | str: f'a whole number or "{AUTO}"',
    tuple[float, ...]: "a list of numbers",
    bool | None: "true or false",
}


def load_recipe(name):
    """The `Recipe` of a name, one of `recipe_names()`, or of a .toml file.

    Raises:
        OSError: where the file can't be read.
        ValueError: for an unknown name, a file that is no TOML, and an unknown key or a wrong value in it.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in recipe_names():
            near = difflib.get_close_matches(str(name), recipe_names(), 3, 0.4) or recipe_names()
            raise ValueError(f"recipe must be a .toml file or one of ours, such as {', '.join(near)}. Received: {name}")
        path = FOLDER / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise FileNotFoundError(f"{path}: missing; expected a recipe") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ValueError(f"{path}: no TOML ({e})") from e
    return changed(Recipe(), values, f"{path}: ")


def recipe_names():
    """The names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def changed(recipe, values, where=""):
    """`recipe` with other values; a table's keys are changed one by one.

    Raises:
        ValueError: for an unknown key, naming the nearest known one, or a wrong value; `where` stands before both.
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
    """{key: value} of "key=value" texts, values as TOML writes them, text also without quotes; "augment.mosaic=0.3".

    Raises:
        ValueError: for what is no such pair.
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
    """Raise a ValueError for options, the recipe's table `name`, that `function` has no keyword for."""
    known = [key for key, one in inspect.signature(function).parameters.items() if one.default is not one.empty]
    for key in options:
        if key not in known:
            raise ValueError(unknown(f"{name}.{key}", [f"{name}.{one}" for one in known]))


def unknown(name, known):
    """What is said of an unknown key."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"unknown key {name}" + (f", did you mean {near[0]}?" if near else f"; known are {', '.join(known)}")


def _typed(name, value, kind):
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = whole or isinstance(value, float)
    if kind is float and number and math.isfinite(value):
        return float(value)
    if kind == tuple[float, ...] and isinstance(value, list | tuple):
        return tuple(_typed(name, one, float) for one in value)
    fits = {
        int: whole,
        str: isinstance(value, str),
        dict: isinstance(value, dict),
        bool: isinstance(value, bool),
        int | str: whole or value == AUTO,
        bool | None: value is None or isinstance(value, bool),
    }
    if not fits.get(kind, False):
        raise ValueError(f"{name} must be {_WORDS[kind]}. Received: {name}={value!r}")
    return value
