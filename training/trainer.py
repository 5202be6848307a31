"""Train a detector: the same code for floats and for quantization-aware training."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import keras

from .callbacks import MeanAveragePrecision, Recorder, write_json
from .pipeline import steps_per_epoch, training_batches
from .state import BEST, LAST, load_state


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training examples.
        batch_size: pictures a step.
        learning_rate: AdamW's, after the warm-up; falls to nothing along a cosine.
        weight_decay: of the convolutions' kernels; norms and biases are spared.
        warmup_epochs: epochs over which the learning rate rises; a fifth of all at most.
        evaluate_every: epochs between two measurements of mAP.
        seed: decides order and augmentation.
        augment: options of `augmentation.Augmentation`.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 5e-3
    warmup_epochs: int = 2
    evaluate_every: int = 1
    seed: int = 0
    augment: dict = field(default_factory=dict)

    def __post_init__(self):
        for name in ("epochs", "batch_size", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={getattr(self, name)}")


def fit(model, train, val, folder, recipe, *, resume=False, report=print):
    """Train `model` and leave it with the weights that measured best.

    The folder gets results.csv, recipe.json, last.npz (the state to resume from), best.npz and, from a Keras 3 model,
    best.keras. A run that is stopped at any moment, by a kill too, resumes after its last finished epoch.

    Args:
        model: a `Detector`, or what `quantize_aware` makes of one.
        train, val: `DetectionData`; val decides which epoch is best.
        folder: the run's folder.
        recipe: `Recipe`.
        resume: whether to go on from last.npz. With the same model, data and recipe the run is what it would have been;
            another recipe is reported, another model refused.
        report: called with a line for everything worth knowing.

    Returns:
        The run's rows: a dict an epoch, as in results.csv.

    Raises:
        FileNotFoundError: with `resume`, where there is nothing to resume.
        FileExistsError: without, where the folder holds a run already.
        ValueError: where the training set is smaller than a batch, the classes of model, train and val differ, or
            last.npz is of another model.
    """
    _check_classes(model, train, val)
    folder = Path(folder)
    last = folder / LAST
    if resume and not last.is_file():
        raise FileNotFoundError(f"{last}: missing; there is no run to resume")
    if not resume and last.exists():
        raise FileExistsError(f"{folder}: holds a run already; resume it or choose another folder")
    steps = steps_per_epoch(train, recipe.batch_size)
    model.compile(optimizer=_optimizer(model, recipe, steps))
    model.optimizer.build(model.trainable_variables)  # at its first step, TensorFlow would trace that twice
    run, done, rows = _describe(model, recipe), 0, []
    if resume:
        meta = load_state(last, model)
        done, rows = meta["epoch"], meta["rows"]
        _compare(last, meta["run"], run, report)
        report(f"resuming after epoch {done} of {recipe.epochs}")
    write_json(folder / "recipe.json", run["recipe"])
    if done < recipe.epochs:
        batches = training_batches(
            train,
            model.anchors.size,
            recipe.batch_size,
            seed=recipe.seed,
            start_step=done * steps,
            augment=recipe.augment,
            report=report,
        )
        recorder = Recorder(folder, rows=rows, run=run, export=_export(model))
        measure = MeanAveragePrecision(model.detect, val, recipe.evaluate_every, recipe.epochs, report)
        model.fit(
            batches,
            initial_epoch=done,
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            shuffle=False,  # the pipeline does
            callbacks=[measure, recorder],
        )
        rows = recorder.rows
    load_state(folder / BEST, model, optimizer=False)
    return rows


def _check_classes(model, train, val):
    if tuple(train.class_names) != tuple(val.class_names):
        raise ValueError(f"train and val must have the same classes. Received: {train.class_names}, {val.class_names}")
    if len(train.class_names) != len(model.class_names):
        raise ValueError(f"the model has {len(model.class_names)} classes, the data has {len(train.class_names)}")


def _describe(model, recipe):
    """What a run must have in common with the one it resumes, as JSON gives it back."""
    detector = {"classes": model.class_names, "anchors": model.anchors.get_config()}
    return json.loads(json.dumps({"recipe": dataclasses.asdict(recipe), "detector": detector}))


def _compare(last, before, now, report):
    for name, value in now["detector"].items():
        if before["detector"][name] != value:
            was = before["detector"][name]
            raise ValueError(f"{last}: holds a run of another detector, with the {name} {was}. Received: {value}")
    for name, value in now["recipe"].items():
        if before["recipe"].get(name) != value:
            report(f"resuming with {name} {value}, up to now {before['recipe'].get(name)}")


def _export(model):
    """A function that writes a Keras 3 model without its optimizer, which would make the file three times as large."""
    if not isinstance(model, keras.Model):
        return None
    bare = type(model).from_config(model.get_config())

    def export(path):
        bare.set_weights(model.get_weights())
        bare.save(path)

    return export


def _optimizer(model, recipe, steps):
    if isinstance(model, keras.Model):
        optimizers = keras.optimizers
    else:
        from tf_keras import optimizers
    warmup = min(recipe.warmup_epochs * steps, recipe.epochs * steps // 5)
    rate = optimizers.schedules.CosineDecay(
        recipe.learning_rate / 100,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=10.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
