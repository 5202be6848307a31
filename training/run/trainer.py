"""Train a detector or a classifier: the same code for floats and for quantization-aware training."""

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import keras

from ...files import write_json
from ...precision import PLAIN
from ...progress import interactive
from ...saving import exporter
from ..data.examples import ClassificationData, DetectionData, fingerprint
from ..distribution.served_batches import Service, check_service
from ..distribution.tokens import token_of
from ..distribution.workers import align
from ..quantization.aware import is_quantized
from ..recipes.freezing import frozen
from ..recipes.optimizers import make_optimizer
from ..recipes.recipe import AUTO, Recipe
from .batch_size import largest_batch_size
from .callback import Run
from .folder import RECIPE, REPORT, check_folder, clear, reserved
from .report import write_run_report
from .state import BEST, LAST, load_state, read_run
from .tasks import task_of
from .throughput import speed


def fit(
    model: keras.Model,
    train: DetectionData | ClassificationData,
    val: DetectionData | ClassificationData,
    folder: str | os.PathLike[str],
    recipe: Recipe,
    *,
    resume: bool = False,
    overwrite: bool = False,
    data_service: str | None = None,
    data_token: str | None = None,
    report: Callable[[str], object] = print,
) -> list[dict[str, float]]:
    """Train `model` and leave it with the weights that measured best.

    The folder gets results.csv, recipe.json, report.html, last.npz (the state to resume from), best.npz and best.keras.
    A run that is stopped at any moment, also by a kill, resumes after its last saved step.

    Args:
        model: a `Detector`, what `quantize_aware` makes of one, or a classifier, which maps images
            (N, height, width, 3) in 0..1 to logits or probabilities (N, classes).
        train: data to train on.
        val: data that decides which epoch is best, of the same classes.
        folder: the run's folder.
        recipe: how to train.
        resume: whether to resume the run in the folder. With the same model, data and recipe it becomes what it would
            have been without the stop; another recipe is reported, another model refused.
        overwrite: whether to replace a run in the folder.
        data_service: "host:port" of a `cspkeras data serve` of `train`, which then decodes and augments; None to do so
            here.
        data_token: the service's token; None: that in $CSPKERAS_TOKEN.
        report: called with a line for everything worth knowing.

    Returns:
        The run's rows, a dict for each epoch, as in results.csv.

    Raises:
        FileNotFoundError: with `resume`, where there is no run to resume.
        FileExistsError: with neither `resume` nor `overwrite`, where the folder holds a run already.
        OSError: where the folder can't be written, or another run is at work in it.
        ValueError: where the training set is smaller than a batch, the classes of model, train and val differ, the
            recipe and the model don't go together, or the run can't be resumed: its last.npz is of another model or of
            another version.
        FloatingPointError: where the loss or the weights are no longer finite numbers; the folder keeps the last state
            and the best model from before, and `resume` continues from there.

    Example:
        >>> from cspkeras import YOLOXNano
        >>> from cspkeras.training import fit, load_recipe, read
        >>> train, val = read("BCCD", "train"), read("BCCD", "val")  # doctest: +SKIP
        >>> model = YOLOXNano(classes=train.class_names, input_shape=(320, 320, 3))  # doctest: +SKIP
        >>> rows = fit(model, train, val, "runs/bccd", load_recipe("finetune"))  # doctest: +SKIP
        >>> best = max(row["val_mAP50"] for row in rows)  # doctest: +SKIP
    """
    folder = Path(folder)
    check_folder(folder, resume=resume, overwrite=overwrite)
    service = data_service and Service(data_service, data_token or token_of())
    with reserved(folder):
        return _fit(model, train, val, folder, recipe, resume, overwrite, service, report)


def _fit(model, train, val, folder, recipe, resume, overwrite, service, report):
    earlier = read_run(folder / LAST) if resume else None
    task = task_of(model, train, val, recipe, report, service)
    task.check_recipe(recipe)
    if service:
        check_service(service, train)
    _check_model(model, recipe)
    export = exporter(model, task.labels)
    with frozen(model, recipe.freeze):
        compile_model(task)
        if recipe.batch_size == AUTO:
            known = earlier and earlier["run"]["recipe"].get("batch_size")
            task.recipe = dataclasses.replace(recipe, batch_size=known or largest_batch_size(task))
            report(f"batch_size {task.recipe.batch_size}")
        run = Run(task, folder, export)
        align(model, lambda: (run.about, fingerprint(train), fingerprint(val)))
        if earlier:
            _resume(run, earlier, report)
        if overwrite:
            clear(folder)
        write_json(folder / RECIPE, run.about["recipe"])
        if not run.progress.finished:
            run.save()  # so that an error in writing comes before the work
            _train(run)
            report(f"trained at {speed(run.progress.rows[-1])}")
    load_state(folder / BEST, model, optimizer=False)
    write_run_report(folder / REPORT, task, run.progress)
    return run.progress.rows


def _check_model(model, recipe):
    if (policy := model.dtype_policy.name) != recipe.precision:
        if is_quantized(model):
            raise ValueError(f"precision {recipe.precision}: quantization-aware training has {PLAIN}; leave it out")
        raise ValueError(f"precision {recipe.precision}: the model was built under {policy}; build it under the same")


def compile_model(task):
    """Compile a task's model by its recipe, for `fit` or single steps."""
    model, recipe = task.model, task.recipe
    options = {} if recipe.jit_compile is None else {"jit_compile": recipe.jit_compile}
    model.compile(optimizer=make_optimizer(model, recipe), loss=task.loss(), **options)
    model.optimizer.build(model.trainable_variables)  # in its first step TensorFlow would trace it twice


def _resume(run, earlier, report):
    """Restore the state of the run's folder, whose meta is `earlier`, and report where the run continues."""
    last, best, progress = run.folder / LAST, run.folder / BEST, run.progress
    model = run.task.upgraded(earlier["run"]["model"])
    for name, value in run.about["model"].items():
        if (was := model.get(name)) != value:
            raise ValueError(
                f"{last}: holds a run of another {run.task.noun}, with the {name} {was}. Received: {value}"
            )
    if any(run.task.monitor in row for row in earlier["rows"]) and not best.is_file():
        anew = "train anew with --overwrite, or in another folder"
        raise FileNotFoundError(f"{best}: missing, expected the best weights of the run to resume; {anew}")
    run.restore(load_state(last, run.task.model, groups={"metric": None, "average": run.task.model.weights}))
    before = dataclasses.asdict(Recipe()) | earlier["run"]["recipe"]  # an older version's recipe has fewer keys
    for name, value in run.about["recipe"].items():
        if (was := before.get(name)) != value:
            report(f"resuming with {name} {value}, up to now {was}")
    done, within = divmod(progress.step, progress.steps)
    step = f"step {within} of {progress.steps} in epoch {done + 1}" if within else f"epoch {done}"
    report(f"resuming after {step} of {run.recipe.epochs}")


def _train(run):
    task, progress, recipe = run.task, run.progress, run.recipe
    while not progress.finished:
        # A first part that ends with the epoch it begins in, and all others of the same augmentation.
        epoch, within = divmod(progress.step, progress.steps)
        bar = interactive(sys.stdout)
        try:
            task.model.fit(
                run.throughput.timed(task.training_batches(recipe.batch_size, progress.step)),
                initial_epoch=epoch,
                epochs=epoch + 1 if within else recipe.switch if epoch < recipe.switch else recipe.epochs,
                steps_per_epoch=progress.steps - within,
                shuffle=False,  # the pipeline does
                callbacks=[run],
                verbose=1 if bar else 2,  # a bar, or a line for each epoch in a log
            )
        except BaseException:
            if bar:
                print(flush=True)  # so that what is said next has a line of its own
            raise
