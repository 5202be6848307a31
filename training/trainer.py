"""Train a detector: the same code for floats and for quantization-aware training."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import keras

from .callbacks import BEST, LAST, MeanAveragePrecision, Recorder, write_json
from .pipeline import training_batches
from .state import load_state


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training examples.
        batch_size: pictures a step.
        learning_rate: AdamW's, after the warm-up; falls to nothing along a cosine.
        weight_decay: of the convolutions' kernels; norms and biases are spared.
        warmup_epochs: epochs over which the learning rate rises.
        evaluate_every: epochs between two measurements of mAP.
        seed: decides order and augmentation.
        augment: options of `augmentation.build`.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 5e-3
    warmup_epochs: int = 2
    evaluate_every: int = 1
    seed: int = 0
    augment: dict = field(default_factory=dict)


def fit(model, train, val, folder, recipe, *, resume=False, report=print):
    """Train `model` and leave it with the weights that measured best.

    The folder gets results.csv, recipe.json, last.npz (the state to resume from), best.npz and, from a Keras 3 model,
    best.keras.

    Args:
        model: a `Detector`, or what `quantize_aware` makes of one.
        train, val: `DetectionData`; val decides which epoch is best.
        folder: the run's folder.
        recipe: `Recipe`.
        resume: whether to go on from last.npz.
        report: called with a line for everything worth knowing.

    Returns:
        The run's rows: a dict an epoch, as in results.csv.

    Raises:
        FileNotFoundError: with `resume`, where there is nothing to resume.
        FileExistsError: without, where the folder holds a run already.
        ValueError: where the training set is smaller than a batch.
    """
    folder = Path(folder)
    last = folder / LAST
    if resume and not last.is_file():
        raise FileNotFoundError(f"{last}: missing; there is no run to resume")
    if not resume and last.exists():
        raise FileExistsError(f"{folder}: holds a run already; resume it or choose another folder")
    steps = len(train.examples) // recipe.batch_size
    if not steps:
        raise ValueError(f"{len(train.examples)} pictures do not fill one batch of {recipe.batch_size}")
    write_json(folder / "recipe.json", dataclasses.asdict(recipe))

    model.compile(optimizer=_optimizer(model, recipe, steps))
    done, rows = 0, []
    if resume:
        meta = load_state(last, model)
        done, rows = meta["epoch"], meta["rows"]
        report(f"resuming after epoch {done} of {recipe.epochs}")
    if done < recipe.epochs:
        batches = training_batches(
            train,
            model.anchors.size,
            recipe.batch_size,
            seed=recipe.seed,
            start_epoch=done,
            augment=recipe.augment,
            report=report,
        )
        recorder = Recorder(folder, rows=rows, export=model.save if isinstance(model, keras.Model) else None)
        measure = MeanAveragePrecision(model.detect, val, recipe.evaluate_every, recipe.epochs)
        model.fit(
            batches,
            initial_epoch=done,
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            callbacks=[measure, recorder],
        )
        rows = recorder.rows
    load_state(folder / BEST, model, optimizer=False)
    return rows


def _optimizer(model, recipe, steps):
    if isinstance(model, keras.Model):
        optimizers = keras.optimizers
    else:
        from tf_keras import optimizers
    warmup = recipe.warmup_epochs * steps
    rate = optimizers.schedules.CosineDecay(
        recipe.learning_rate / 100,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=10.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
