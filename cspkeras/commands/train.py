"""The sub-command `train`: a network by name or from a file, trained by a recipe."""

from contextlib import nullcontext

from .arguments import (
    DEFAULT_MODEL,
    DEFAULT_SIZE,
    add_command,
    add_recipe,
    add_run_folder,
    add_size,
    add_token,
    add_training_data,
    add_weights,
    count,
    number,
    recipe_of,
)
from .reading import read_splits
from .terminal import log


def add(commands):
    """Add `train` to the sub-commands."""
    parser = add_command(
        commands,
        "train",
        run,
        "Train a detector or a classifier on your own images.",
        "--data BCCD --model YOLOXNano --weights coco --recipe finetune",
    )
    add_training_data(parser)
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help="a detector or backbone of `cspkeras models` [%(default)s]",
    )
    add_run_folder(parser, "runs/train")
    add_size(parser, f"{DEFAULT_SIZE}; of backbones and where it does not fit the published one")
    add_weights(
        parser, "a file of it (.onnx, .pth, .safetensors, .weights, NAME.conv.K), or any .keras detector to start from"
    )
    parser.add_argument("--gpus", type=count, metavar="N", help="number of GPUs to train on [1]")
    parser.add_argument(
        "--workers", metavar="HOST:PORT,...", help="machines to train on together, on JAX; the same list on each [none]"
    )
    parser.add_argument(
        "--rank", type=number(int, 0), metavar="I", help="position of this machine in --workers, from 0"
    )
    parser.add_argument(
        "--data-service", metavar="HOST:PORT", help="a `cspkeras data serve` that decodes and augments [none]"
    )
    add_token(parser, "of --data-service")
    add_recipe(parser, None)


def run(options):
    """Train the network and print where its best weights are."""
    import keras

    from ..training.run.folder import BEST_MODEL, check_folder
    from ..training.run.trainer import fit

    first = not options.rank  # the only worker that writes to the folder
    if first:
        check_folder(options.folder, resume=options.resume, overwrite=options.overwrite)
    recipe = recipe_of(options)
    how = dict(resume=options.resume, overwrite=options.overwrite, **_service(options))
    devices = _devices(options, recipe)
    keras.utils.set_random_seed(recipe.seed)
    with devices as folder:
        model, train, val = _model_and_data(options, recipe)
        fit(model, train, val, folder, recipe, **how)
    if first:
        print(f"best model: {folder / BEST_MODEL}")


def _service(options):
    """Return the arguments of `fit` that name the data service, if any, which answers and takes the token."""
    if not options.data_service:
        if options.token:
            raise ValueError("--token: is that of a data service; leave it out, or name one by --data-service")
        return {}
    from ..training.distribution.served_batches import Service, check_service
    from ..training.distribution.tokens import token_of

    token = token_of(options.token)
    check_service(Service(options.data_service, token))
    return dict(data_service=options.data_service, data_token=token)


def _devices(options, recipe):
    """Return a context of the devices to train on: it yields the run's folder, and the network is built inside it."""
    from ..training.distribution.gpus import mirrored
    from ..training.distribution.workers import check_workers, worker

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


def _model_and_data(options, recipe):
    """Return the network to train, built by the recipe or loaded, its training data and its validation data."""
    from ..precision import policy
    from ..registry import BACKBONE, network
    from ..training.recipes.recipe import check_options
    from ..training.run.start import restore_norms
    from ..training.run.tasks import Classification, Detection

    wanted = network(options.model, argument="--model")
    classifies = wanted.kind == BACKBONE
    kind = Classification if classifies else Detection
    kind.check_recipe(recipe)
    if not classifies and options.weights and options.weights.suffix == ".keras":
        return _loaded(options, recipe)
    check_options("model", recipe.model, wanted.build)
    spec = wanted.spec
    usual = spec.published is None or not (classifies or DEFAULT_SIZE % spec.stride)
    size = options.size or (DEFAULT_SIZE if usual else spec.published.size,) * 2
    train, val = _data(options, recipe, None)
    kind.check_data(options.model, train)
    how = {**recipe.model, "input_shape": (*size, 3)}
    how["classes"] = len(train.class_names) if classifies else train.class_names
    if options.weights:
        how |= dict(weights=str(options.weights), skip_mismatch=True)
    elif not classifies and spec.anchors:
        how |= dict(anchors=_own_anchors(spec.anchors, train, size))
    with policy(recipe.precision):
        model = wanted.build(**how)
    if options.weights and not classifies and not options.resume:  # a state has its own
        restore_norms(model, options.model, options.weights, train, log)
    return model, train, val


def _loaded(options, recipe):
    from ..precision import PLAIN, rebuilt
    from ..saving import load_detector

    if options.model != DEFAULT_MODEL:
        raise ValueError(f"--model {options.model}: {options.weights} is a whole detector; leave --model out")
    if recipe.model:
        raise ValueError(f"model {recipe.model}: {options.weights} is a whole detector; leave that out")
    model = load_detector(options.weights)
    if options.size and model.anchors.size != options.size:
        given, taken = (f"{width}x{height}" for height, width in (options.size, model.anchors.size))
        raise ValueError(f"--size {given}: {options.weights} takes {taken}; leave --size out")
    if recipe.precision != PLAIN:
        model = rebuilt(model, recipe.precision)
    return model, *_data(options, recipe, model.class_names)


def _data(options, recipe, class_names):
    """Read the data, and start what its workers need, so that they are ready when the network is built."""
    from ..training.pipeline.dataset import start_workers

    train, val = read_splits(options, class_names)
    if not options.data_service:
        start_workers(recipe.data_workers, len(train.examples))
    return train, val


def _own_anchors(published, data, size):
    """Return the data's anchors, as many as the network has; None, for its own, where the objects are too few."""
    import numpy as np

    from ..training.data.anchors import estimate_anchors, object_shapes

    count = len(published.pairs)
    if len(np.unique(object_shapes(data, size), axis=0)) < count:
        return None
    # Only the pairs are estimated: how far a centre may leave its cell stays as published.
    return estimate_anchors(data, size, count=count, strides=published.strides).pairs
