"""The sub-command `train`: by which recipe, and which network is trained, from which weights."""

from contextlib import nullcontext

from .arguments import MODEL, SIZE
from .reading import note, read_splits

MEASURED = 120  # images that norms which come folded are measured on


def machines(options, recipe):
    """A context that yields the run's folder and in which the network must be built: whose devices it is trained on.

    Raises:
        OSError: where no data service answers.
        ValueError: for workers or GPUs that aren't there, or can't train together.
    """
    from ..training.distribution.gpus import mirrored
    from ..training.distribution.workers import check_workers, worker

    if options.data_service:
        from ..training.distribution.service import check_service

        check_service(options.data_service)
    if options.workers or options.rank is not None:
        if options.gpus:
            raise ValueError("--gpus and --workers: each worker takes all GPUs of its machine; leave --gpus out")
        from ..training.run.state import BEST, LAST

        check_workers(options.workers, options.rank, recipe.batch_size)
        needed = (LAST, BEST) if options.resume else ()
        return worker(options.workers, options.rank, options.folder, recipe.batch_size, needed)
    if options.gpus:
        if options.gpus > 1 and recipe.accumulate > 1:
            raise ValueError(f"accumulate {recipe.accumulate}: not on several GPUs; leave it or --gpus out")
        return mirrored(options.gpus, options.folder, recipe.batch_size)
    return nullcontext(options.folder)


def starting_point(options, recipe):
    """The detector or classifier that `train` begins with, and its data.

    Args:
        options: the command's; their `model`, `weights` and `size` decide.
        recipe: `Recipe`; its `model` and `precision` are the network's.

    Returns:
        (`Detector` or a backbone with its top, training data, validation data).

    Raises:
        OSError: where weights or data can't be read.
        ValueError: for options that don't go together, an unknown network, and weights that don't fit.
    """
    from ..precision import policy
    from ..registry import BACKBONE, network
    from ..training.recipes.recipe import check_options
    from ..training.run.tasks import Classification, Detection

    wanted = network(options.model, argument="--model")
    classifies = wanted.kind == BACKBONE
    kind = Classification if classifies else Detection
    kind.check(recipe)
    if not classifies and options.weights and options.weights.suffix == ".keras":
        return _go_on(options, recipe)
    check_options("model", recipe.model, wanted.build)
    spec = wanted.spec
    size = (options.size or (spec.published.size if classifies and spec.published else SIZE),) * 2
    train, val = read_splits(options, None)
    kind.check_data(options.model, train)
    how = {**recipe.model, "input_shape": (*size, 3)}
    how["classes"] = len(train.class_names) if classifies else train.class_names
    if options.weights:
        how |= dict(weights=str(options.weights), skip_mismatch=True)
    elif not classifies and spec.anchors:
        how |= dict(anchors=_own_anchors(spec.anchors, train, size))
    with policy(recipe.precision):
        model = wanted.build(**how)
    if options.weights and options.weights.suffix == ".onnx" and not options.resume:  # a state has its own
        _measure_norms(model, train, size)
    return model, train, val


def _go_on(options, recipe):
    from ..precision import PLAIN, rebuilt
    from ..saving import load_detector

    if options.model != MODEL:
        raise ValueError(f"--model {options.model}: {options.weights} is a detector of its own; leave --model out")
    if recipe.model:
        raise ValueError(f"model {recipe.model}: {options.weights} is a detector of its own; leave that out")
    model = load_detector(options.weights)
    if options.size and model.anchors.size != (options.size, options.size):
        height, width = model.anchors.size
        raise ValueError(f"--size {options.size}: {options.weights} takes {width}x{height}; leave --size out")
    if recipe.precision != PLAIN:
        model = rebuilt(model, recipe.precision)
    return model, *read_splits(options, model.class_names)


def _own_anchors(published, data, size):
    from ..training.data.anchors import estimate_anchors

    # Pairs alone: how far a centre may leave its cell stays as published.
    return estimate_anchors(data, size, count=len(published.pairs), strides=published.strides).pairs


def _measure_norms(model, data, size):
    from ..training.pipeline.detection import images
    from ..weights import unfold_norms

    unfold_norms(model, images(data, size, MEASURED, report=note))
    note(f"batch-norms measured on {min(MEASURED, len(data.examples))} images; the weights came without theirs")
