"""The sub-command `export`: a detector or a classifier as a .tflite file."""

from .reading import note, read_boxes, read_labels

CALIBRATED = 100  # images


def export(options):
    """Convert a model, with the classes that it or the data names, and calibrate int8 on images of the data."""
    from ..saving import load_network
    from ..tflite.export.convert import convert
    from ..training.run.tasks import kind_of

    path, model, calibration = options.model, load_network(options.model), None
    kind = kind_of(model)
    if options.android and kind.noun != "detector":
        raise ValueError(f"--android: the application shows what a detector finds; {path} holds a {kind.noun}")
    output = options.output or _asset(options.android, f"{path.stem}_{options.precision}.tflite")
    quantizes = options.precision == "int8"
    if options.data is None:
        if quantizes:
            raise ValueError("--precision int8 needs --data, the images that calibrate it")
        if model.class_names is None:
            raise ValueError(f"{path}: does not name its classes; give --data, the data set that has them")
    elif quantizes or model.class_names is None:
        where = options.data, options.train_split
        if kind.noun == "detector":
            data = read_boxes(*where, model.class_names)
        else:
            data = read_labels(*where, path.name, model.output_shape[-1], model.class_names)
        model.class_names = data.class_names
        calibration = kind.images(model, data, CALIBRATED, note) if quantizes else None
    print(convert(model, output, options.precision, calibration, options.refine))


def _asset(folder, name):
    """Where the application in android_demo/ looks for a model."""
    main = folder / "app" / "src" / "main"
    if not (main / "AndroidManifest.xml").is_file():
        raise ValueError(
            f"{folder}: has no {main.relative_to(folder)}/AndroidManifest.xml; expected a copy of android_demo"
        )
    return main / "assets" / "models" / name
