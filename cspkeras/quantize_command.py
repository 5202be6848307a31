"""The sub-command `quantize`: as little training as keeps the accuracy in 8 bits, and the int8 file."""

from .data_commands import note, read_splits
from .train_command import recipe_of

CALIBRATED = 64  # pictures
EQUALIZED = 16  # pictures by which unequal channels are found
BATCH, RATE = 4, 3e-4  # of the fitting to the floats
UNTRAINED, FILE, RESULTS, LAYERS = "untrained.npz", "int8.tflite", "quantization.json", "layers.json"
LOOKED_AT, NAMED = 4, 5  # pictures that show what each layer loses, and how many of the layers are printed
FIGURES = ("mAP", "mAP50")


def quantize(options):
    """Calibrate, fit to the float answers, train on the labels; each where the one before loses more than --loss."""
    from .detection.detector import load_detector
    from .tflite import litert
    from .tflite.convert import convert
    from .training.callbacks import write_json
    from .training.evaluation import load_detect
    from .training.folder import check_folder
    from .training.pipeline import images
    from .training.quantization import quantize_aware

    check_folder(options.folder, resume=options.resume, overwrite=options.overwrite)
    recipe = recipe_of(options)
    model = load_detector(options.model)
    train, val = read_splits(options, model.class_names)
    litert.require()
    quantized, rows = quantize_aware(model, images(train, model.anchors.size, EQUALIZED)), {}
    if options.resume or not _without_labels(quantized, model, train, val, recipe, options, rows):
        _with_labels(quantized, train, val, recipe, options, rows)
    file = convert(quantized, options.folder / FILE, "int8")
    _measure("int8 file", load_detect(file)[0], val, rows)
    write_json(options.folder / RESULTS, rows)
    print(f"{'on ' + options.val_split:22}" + "".join(f"{figure:>8}" for figure in FIGURES))
    for name, row in rows.items():
        print(f"{name:22}" + "".join(f"{row[figure]:8.4f}" for figure in FIGURES))
    print(f"int8 file: {file}")


def _measure(name, detect, val, rows):
    """Add a row of `FIGURES`; returns its first one."""
    from .training.evaluation import evaluate

    measured = evaluate(detect, val, report=note)
    rows[name] = {figure: measured[figure] for figure in FIGURES}
    note(f"{name}: " + ", ".join(f"{figure} {value:.4f}" for figure, value in rows[name].items()))
    return rows[name][FIGURES[0]]


def _without_labels(quantized, model, train, val, recipe, options, rows):
    """Calibrate and fit; whether one of them is enough."""
    from .training.layer_errors import layer_errors
    from .training.pipeline import images, training_batches
    from .training.quantization import calibrate
    from .training.refinement import refine

    size, seed = model.anchors.size, recipe.seed
    wanted = _measure("floats", model.detect, val, rows) - options.loss
    calibrate(quantized, images(train, size, CALIBRATED, report=note))
    _report_layers(layer_errors(quantized, model, images(train, size, LOOKED_AT)), options.folder / LAYERS)
    reached = _measure("calibrated", quantized.detect, val, rows)
    if reached < wanted and options.refine:
        batches = training_batches(train, size, BATCH, seed=seed, augment=recipe.augment, report=note)
        refine(quantized, model, (pictures.numpy() for pictures, _ in batches), options.refine, RATE)
        reached = _measure("fitted to the floats", quantized.detect, val, rows)
    return reached >= wanted


def _report_layers(errors, path):
    """Write what each layer loses, and name the worst."""
    from .training.callbacks import write_json

    write_json(path, errors)
    worst = ", ".join(f"{row['layer']} {row['added']:.1%}" for row in errors[:NAMED])
    note(f"noise over signal that 8 bits add, the most: {worst}; all layers: {path}")


def _with_labels(quantized, train, val, recipe, options, rows):
    """Train on the labels; where that does not help, the weights go back to what they were."""
    from .training.refinement import settle
    from .training.state import load_state, read_meta, save_state
    from .training.trainer import fit

    untrained = options.folder / UNTRAINED
    if options.resume:
        rows |= read_meta(untrained)["rows"]
    else:
        save_state(untrained, quantized, {"rows": rows}, optimizer=False)
    before = list(rows.values())[-1]
    if options.refine:
        settle(quantized)
    fit(quantized, train, val, options.folder, recipe, resume=options.resume, overwrite=options.overwrite, report=note)
    if _measure("trained on the labels", quantized.detect, val, rows) < before[FIGURES[0]]:
        note("training on the labels did not help: what it has changed is left out")
        load_state(untrained, quantized, optimizer=False)
