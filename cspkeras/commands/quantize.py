"""The sub-command `quantize`: an int8 file, with as little training as keeps the accuracy."""

from pathlib import Path

from .arguments import (
    add_command,
    add_pixels,
    add_recipe,
    add_refine,
    add_run_folder,
    add_training_data,
    add_weights,
    rate,
    recipe_of,
)
from .reading import read_pixels, read_splits
from .terminal import log

CALIBRATION_IMAGES = 64
EQUALIZATION_IMAGES = 16  # show which channels have unequal ranges
LAYER_ERROR_IMAGES = 4  # show what each layer loses
WORST_LAYERS = 5  # are printed
REFINE_BATCH, REFINE_RATE = 4, 3e-4  # of the fitting to the float model
UNTRAINED, FILE, RESULTS, LAYERS = "untrained.npz", "int8.tflite", "quantization.json", "layers.json"


def add(commands):
    """Add `quantize` to the sub-commands."""
    about = "Quantize a detector or a classifier to 8 bits, with as little training as keeps its accuracy."
    parser = add_command(commands, "quantize", run, about, "--data BCCD --model runs/train/best.keras")
    parser.add_argument("--model", type=Path, required=True, help="a .keras detector or classifier, or a network")
    add_weights(parser)
    add_training_data(parser)
    add_run_folder(parser, "runs/quantize")
    parser.add_argument(
        "--loss",
        type=rate,
        default=0.01,
        help="mAP, or top-1 accuracy, that may be lost without further training [%(default)s]",
    )
    add_refine(parser, 1000)
    add_pixels(parser)
    add_recipe(parser, "quantization")


def run(options):
    """Calibrate, fit to the float model, train on the labels; stop once the file loses no more than --loss."""
    from ..files import write_json
    from ..graph import is_detector
    from ..saving import load_network
    from ..tflite.runtime import litert
    from ..training.quantization.aware import quantize_aware
    from ..training.run.folder import check_folder
    from ..training.run.tasks import task_of

    check_folder(options.folder, resume=options.resume, overwrite=options.overwrite)
    recipe = recipe_of(options)
    model = load_network(options.model, options.weights)
    if options.scores and is_detector(model):
        raise ValueError(f"--scores {options.scores}: says what a classifier returns, {options.model} holds a detector")
    taken = {"scores": options.scores, "pixels": read_pixels(options, model)}
    train, val = read_splits(options, model.class_names)
    exact = task_of(model, train, val, recipe, log, **taken)
    model.class_names = train.class_names
    litert.require()
    some = _images(exact, EQUALIZATION_IMAGES)
    quantized, rows = task_of(quantize_aware(model, some), train, val, recipe, log, **taken), {}
    if options.resume or not _without_labels(quantized, exact, options, rows):
        _with_labels(quantized, options, rows)
    write_json(options.folder / RESULTS, rows)
    print(f"{'on ' + options.val_split:22}" + "".join(f"{figure:>8}" for figure in rows["floats"]))
    for name, row in rows.items():
        print(f"{name:22}" + "".join(f"{value:8.4f}" for value in row.values()))
    print(f"int8 file: {options.folder / FILE}")


def _images(task, limit, report=print):
    return task.calibration_images(task.model, task.train, limit, report, task.pixels)


def _write(task, folder):
    from ..graph import is_detector
    from ..tflite.export.convert import convert
    from ..tflite.export.settings import file_labels

    how = {}
    if not is_detector(task.model):
        how = {**task.pixels._asdict(), "scores": task.scores, "labels": file_labels(task.model, task.labels)}
    return convert(task.model, folder / FILE, "int8", **how)


def _measure(name, task, rows, file=None):
    """Add a row of figures, of the task's model or of a file; return the figure that decides."""
    rows[name] = {figure.removeprefix("val_"): value for figure, value in task.measure(file).items()}
    log(f"{name}: " + ", ".join(f"{figure} {value:.4f}" for figure, value in rows[name].items()))
    return _deciding(task, rows[name])


def _deciding(task, row):
    return row[task.monitor.removeprefix("val_")]


def _without_labels(quantized, exact, options, rows):
    """Calibrate, then fit to the float model; return whether that is enough."""
    from ..training.quantization.aware import calibrate
    from ..training.quantization.layer_errors import layer_errors
    from ..training.quantization.refinement import refine

    wanted = _measure("floats", exact, rows) - options.loss
    calibrate(quantized.model, _images(exact, CALIBRATION_IMAGES, log))
    some = _images(exact, LAYER_ERROR_IMAGES)
    _report_layers(layer_errors(quantized.model, exact.model, some), options.folder / LAYERS)
    reached = _measure("calibrated", quantized, rows, _write(quantized, options.folder))
    if reached < wanted and options.refine:
        batches = (images.numpy() for images, _ in exact.training_batches(REFINE_BATCH, 0))
        refine(quantized.model, exact.model, batches, options.refine, REFINE_RATE)
        reached = _measure("fitted to the floats", quantized, rows, _write(quantized, options.folder))
    return reached >= wanted


def _report_layers(errors, path):
    """Write what each layer loses, and log the worst layers."""
    from ..files import write_json

    write_json(path, errors)
    worst = ", ".join(f"{row['layer']} {row['added']:.1%}" for row in errors[:WORST_LAYERS])
    log(f"layers to which 8 bits add the most noise over signal: {worst}; all layers: {path}")


def _with_labels(task, options, rows):
    """Train on the labels; restore the weights where that does not help."""
    from ..training.quantization.refinement import fix_ranges
    from ..training.run.state import load_state, save_state
    from ..training.run.trainer import fit

    untrained = options.folder / UNTRAINED
    if options.resume:
        rows |= _rows_before(untrained)
    else:
        save_state(untrained, task.model, {"rows": rows}, optimizer=False)
    before = _deciding(task, list(rows.values())[-1])
    if options.refine:
        fix_ranges(task.model)
    how = dict(resume=options.resume, overwrite=options.overwrite, report=log)
    fit(task.model, task.train, task.val, options.folder, task.recipe, **how)
    if _measure("trained on the labels", task, rows, _write(task, options.folder)) < before:
        log("training on the labels did not help: the weights before it are kept")
        load_state(untrained, task.model, optimizer=False)
        _write(task, options.folder)


def _rows_before(untrained):
    """Return the figures of the steps before the training, from the state that was saved then."""
    from ..training.run.state import read_meta

    rows = read_meta(untrained).get("rows")
    if not rows:
        raise ValueError(f"{untrained}: has no figures of the steps before the training; begin anew with --overwrite")
    return rows
