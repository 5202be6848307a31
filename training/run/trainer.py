"""Train a detector or a classifier: the same code for floats and for quantization-aware training."""

import dataclasses
import json
from contextlib import nullcontext
from pathlib import Path

import keras

from ...files import write_json
from ...graph import keras_of
from ...saving import exporter
from ..data.examples import fingerprint
from ..distribution.service import check_service, watched
from ..distribution.workers import align
from ..pipeline.detection import steps_per_epoch
from ..recipes.freezing import frozen
from ..recipes.optimizers import optimizer
from ..recipes.recipe import AUTO
from .averaging import Averaging
from .batch_size import resolve
from .callback import Run
from .folder import BOARD, RECIPE, REPORT, check_folder, clear
from .report import write_run_report
from .state import BEST, LAST, load_state, read_meta
from .tasks import task_of
from .tensorboard import Board
from .throughput import Throughput


def fit(model, train, val, folder, recipe, *, resume=False, overwrite=False, data_service=None, report=print):
    """Train `model` and leave it with the weights that measured best.

    The folder gets results.csv, recipe.json, report.html, last.npz (the state to resume from), best.npz and, from a
    Keras 3 model, best.keras. A run that is stopped at any moment, by a kill too, resumes after its last saved step.

    Args:
        model: a `Detector`, what `quantize_aware` makes of one, or a classifier (see `tasks.Classification`).
        train, val: `DetectionData` or `ClassificationData`; val decides which epoch is best.
        folder: the run's folder.
        recipe: `Recipe`.
        resume: whether to go on from last.npz. With the same model, data and recipe the run is what it would have been;
            another recipe is reported, another model refused.
        overwrite: whether a run in the folder is replaced.
        data_service: "host:port" of a `service.DataServer` of `train`, which then decodes and augments; None for here.
        report: called with a line for everything worth knowing.

    Returns:
        The run's rows: a dict an epoch, as in results.csv.

    Raises:
        FileNotFoundError: with `resume`, where there is nothing to resume.
        FileExistsError: without it and `overwrite`, where the folder holds a run already.
        OSError: where the folder can't be written.
        ValueError: where the training set is smaller than a batch, the classes of model, train and val differ, the
            recipe and the model don't go together, or last.npz is of another model.
    """
    folder = Path(folder)
    check_folder(folder, resume=resume, overwrite=overwrite)
    task = task_of(model, train, val, recipe, report, data_service)
    task.check(recipe)
    if data_service:
        check_service(data_service, train)
    _check_model(model, recipe)
    export = exporter(model, task.labels) if keras_of(model) is keras else None
    with frozen(model, recipe.freeze):
        _compile(model, task, recipe)
        if recipe.batch_size == AUTO:
            earlier = read_meta(folder / LAST)["run"]["recipe"]["batch_size"] if resume else None
            recipe = dataclasses.replace(recipe, batch_size=earlier or resolve(task))
            report(f"batch_size {recipe.batch_size}")
        run = _run(model, task, folder, recipe, export)
        align(model, (run.about, fingerprint(train), fingerprint(val)))
        if resume:
            _resume(run, folder / LAST, report)
        if overwrite:
            clear(folder)
        write_json(folder / RECIPE, run.about["recipe"])
        if not run.finished:
            run.save()  # what can't be written shows before the work
            with watched(data_service) if data_service else nullcontext():
                _train(model, task, recipe, run)
            report(_speed(run.rows))
    load_state(folder / BEST, model, optimizer=False)
    write_run_report(folder / REPORT, task, recipe, run.rows)
    return run.rows


def _check_model(model, recipe):
    if keras_of(model) is not keras:
        for name, off in (("freeze", 0), ("jit_compile", None), ("precision", "float32"), ("accumulate", 1)):
            if (value := getattr(recipe, name)) != off:
                raise ValueError(f"{name} {value}: quantization-aware training (tf-keras) does without; leave it out")
    elif (policy := model.dtype_policy.name) != recipe.precision:
        raise ValueError(f"precision {recipe.precision}: the model was built under {policy}; build it under the same")


def _compile(model, task, recipe):
    options = {} if recipe.jit_compile is None else {"jit_compile": recipe.jit_compile}
    model.compile(optimizer=optimizer(model, recipe), loss=task.loss(), **options)
    model.optimizer.build(model.trainable_variables)  # at its first step, TensorFlow would trace that twice


def _run(model, task, folder, recipe, export):
    about = json.loads(json.dumps({"recipe": dataclasses.asdict(recipe), "model": task.about()}))
    return Run(
        folder,
        task,
        recipe,
        steps_per_epoch(task.train, recipe.batch_size),
        Throughput(recipe.batch_size),
        averaging=Averaging(model, recipe.ema) if recipe.ema else None,
        about=about,
        export=export,
        board=Board(folder / BOARD) if recipe.tensorboard else None,
    )


def _resume(run, last, report):
    state = load_state(last, run.task.model, groups=("metric", "average"))
    for name, value in run.about["model"].items():
        if (was := state["run"]["model"].get(name)) != value:
            noun = run.task.noun
            raise ValueError(f"{last}: holds a run of another {noun}, with the {name} {was}. Received: {value}")
    for name, value in run.about["recipe"].items():
        if (was := state["run"]["recipe"].get(name)) != value:
            report(f"resuming with {name} {value}, up to now {was}")
    run.restore(state)
    done, within = divmod(run.step, run.steps)
    step = f"step {within} of {run.steps} in epoch {done + 1}" if within else f"epoch {done}"
    report(f"resuming after {step} of {run.recipe.epochs}")


def _train(model, task, recipe, run):
    while not run.finished:
        # A first part that ends with the epoch it begins in, and all others.
        epoch, within = divmod(run.step, run.steps)
        model.fit(
            run.throughput.timed(task.batches(recipe.batch_size, run.step)),
            initial_epoch=epoch,
            epochs=epoch + 1 if within else recipe.epochs,
            steps_per_epoch=run.steps - within,
            shuffle=False,  # the pipeline does
            callbacks=[run],
        )


def _speed(rows):
    last = rows[-1]
    wait = f"{last['data_wait']:.0%} of the time waiting for data"
    return f"trained at {last['images_per_second']:.1f} images a second, {wait}"
