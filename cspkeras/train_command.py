"""The sub-command `train`: which detector is trained, and from which weights."""

from .data_commands import note, read_splits

MODEL = "CSPPeleeNetEFM"  # where none is named
SIZE = 416  # pixels
MEASURED = 120  # pictures that norms which come folded are measured on


def starting_point(options):
    """The detector that `train` begins with, and its data.

    Args:
        options: the command's; their `model`, `weights` and `size` decide.

    Returns:
        (`Detector`, training data, validation data).

    Raises:
        OSError: where weights or data can't be read.
        ValueError: for options that don't go together, an unknown detector, and weights that don't fit.
    """
    from .backbones.registry import by_name
    from .detection import registry

    if options.weights and options.weights.suffix == ".keras":
        return _go_on(options)
    spec = by_name(options.model, registry.VARIANTS, "a detector's name", "--model")
    size = (options.size or SIZE,) * 2
    train, val = read_splits(options, None)
    how = dict(classes=train.class_names, input_shape=(*size, 3))
    if options.weights:
        how |= dict(weights=str(options.weights), skip_mismatch=True)
    elif spec.anchors:
        how |= dict(anchors=_own_anchors(spec.anchors, train, size))
    model = registry.get_detector(options.model, **how)
    if options.weights and options.weights.suffix == ".onnx" and not options.resume:  # a state has its own
        _measure_norms(model, train, size)
    return model, train, val


def _go_on(options):
    from .detection.detector import load_detector

    if options.model != MODEL:
        raise ValueError(f"--model {options.model}: {options.weights} is a detector of its own; leave --model out")
    model = load_detector(options.weights)
    if options.size and model.anchors.size != (options.size, options.size):
        height, width = model.anchors.size
        raise ValueError(f"--size {options.size}: {options.weights} takes {width}x{height}; leave --size out")
    return model, *read_splits(options, model.class_names)


def _own_anchors(published, data, size):
    from .training.anchors import estimate_anchors

    # Pairs alone: how far a centre may leave its cell stays as published.
    return estimate_anchors(data, size, count=len(published.pairs), strides=published.strides).pairs


def _measure_norms(model, data, size):
    from .training.pipeline import images
    from .weights import unfold_norms

    unfold_norms(model, images(data, size, MEASURED, report=note))
    note(f"batch-norms measured on {min(MEASURED, len(data.examples))} pictures; the weights came without theirs")
