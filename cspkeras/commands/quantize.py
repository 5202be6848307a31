"""The sub-command `quantize`: as little training as keeps the accuracy in 8 bits, and the int8 file."""

from .arguments import recipe_of
from .reading import note, read_splits

CALIBRATED = 64  # images
EQUALIZED = 16  # images by which unequal channels are found
BATCH, RATE = 4, 3e-4  # of the fitting to the floats
UNTRAINED, FILE, RESULTS, LAYERS = "untrained.npz", "int8.tflite", "quantization.json", "layers.json"
LOOKED_AT, NAMED = 4, 5  # images that show what each layer loses, and how many of the layers are printed


def quantize(options):
    """Calibrate, fit to the float answers, train on the labels; each where the file before loses more than --loss."""
    from ..files import write_json
    from ..saving import load_network
    from ..tflite.runtime import litert
    from ..training.quantization.aware import quantize_aware
    from ..training.run.folder import check_folder
    from ..training.run.tasks import task_of

    check_folder(options.folder, resume=options.resume, overwrite=options.overwrite)
    recipe = recipe_of(options)
    model = load_network(options.model)
    train, val = read_splits(options, model.class_names)
    exact = task_of(model, train, val, recipe, note)
    model.class_names = train.class_names
    litert.require()
    some = exact.images(model, train, EQUALIZED)
    quantized, rows = task_of(quantize_aware(model, some), train, val, recipe, note), {}
    if options.resume or not _without_labels(quantized, exact, options, rows):
        _with_labels(quantized, options, rows)
    write_json(options.folder / RESULTS, rows)
    print(f"{'on ' + options.val_split:22}" + "".join(f"{figure:>8}" for figure in rows["floats"]))
    for name, row in rows.items():
        print(f"{name:22}" + "".join(f"{value:8.4f}" for value in row.values()))
    print(f"int8 file: {options.folder / FILE}")


def _write(task, folder):
    from ..tflite.export.convert import convert

    return convert(task.model, folder / FILE, "int8")


def _measure(name, task, rows, file=None):
    """Add a row of figures, of the task's model or of a file; returns the one that decides."""
    rows[name] = {figure.removeprefix("val_"): value for figure, value in task.measure(file).items()}
    note(f"{name}: " + ", ".join(f"{figure} {value:.4f}" for figure, value in rows[name].items()))
    return _deciding(task, rows[name])


def _deciding(task, row):
    return row[task.monitor.removeprefix("val_")]


def _without_labels(quantized, exact, options, rows):
    """Calibrate and fit; whether one of them is enough."""
    from ..training.quantization.aware import calibrate
    from ..training.quantization.layer_errors import layer_errors
    from ..training.quantization.refinement import refine

    wanted = _measure("floats", exact, rows) - options.loss
    calibrate(quantized.model, exact.images(exact.model, exact.train, CALIBRATED, note))
    some = exact.images(exact.model, exact.train, LOOKED_AT)
    _report_layers(layer_errors(quantized.model, exact.model, some), options.folder / LAYERS)
    reached = _measure("calibrated", quantized, rows, _write(quantized, options.folder))
    if reached < wanted and options.refine:
        batches = (images.numpy() for images, _ in exact.batches(BATCH, 0))
        refine(quantized.model, exact.model, batches, options.refine, RATE)
        reached = _measure("fitted to the floats", quantized, rows, _write(quantized, options.folder))
    return reached >= wanted


def _report_layers(errors, path):
    """Write what each layer loses, and name the worst."""
    from ..files import write_json

    write_json(path, errors)
    worst = ", ".join(f"{row['layer']} {row['added']:.1%}" for row in errors[:NAMED])
    note(f"noise over signal that 8 bits add, the most: {worst}; all layers: {path}")


def _with_labels(task, options, rows):
    """Train on the labels; where that does not help, the weights go back to what they were."""
    from ..training.quantization.refinement import settle
    from ..training.run.state import load_state, read_meta, save_state
    from ..training.run.trainer import fit

    untrained = options.folder / UNTRAINED
    if options.resume:
        rows |= read_meta(untrained)["rows"]
    else:
        save_state(untrained, task.model, {"rows": rows}, optimizer=False)
    before = _deciding(task, list(rows.values())[-1])
    if options.refine:
        settle(task.model)
    how = dict(resume=options.resume, overwrite=options.overwrite, report=note)
    fit(task.model, task.train, task.val, options.folder, task.recipe, **how)
    if _measure("trained on the labels", task, rows, _write(task, options.folder)) < before:
        note("training on the labels did not help: what it has changed is left out")
        load_state(untrained, task.model, optimizer=False)
        _write(task, options.folder)
