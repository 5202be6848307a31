"""The demo on a user's own images, within a time."""

import time
from dataclasses import asdict, replace
from functools import partial

from ..training.data.examples import sampled
from ..training.recipes.recipe import load_recipe
from ..training.run.start import restore_norms
from .budget import Plan, plan_for, try_out
from .case import SEED, Case, Work
from .networks import DETECTOR, NAMES, build_network, network_for

SIZES = {True: (320, 256, 224, 192, 160), False: (160, 128, 96)}  # pixels, the best first; of detectors or not
BATCH_SIZES = {True: 8, False: 16}
RANDOM = dict(epochs=100, learning_rate=4e-3)  # of the recipe, where it begins with random weights
SLOWER_RATE = 1 / 4  # of quantization-aware training
HELD_OUT, CALIBRATION = 200, 16  # images


def own_case(command, read, minutes, weights):
    """Return the demo on a user's images.

    Args:
        command: that runs it.
        read: function that returns the data: to train on, to validate on and held out.
        minutes: how long it may take.
        weights: published weights by their name, or a path; None for random ones.
    """
    return Case(command, partial(_prepare, read, 60 * minutes, weights))


def _prepare(read, seconds, weights, known, say):
    begin = time.monotonic()
    train, val, held_out = read()
    held_out = sampled(held_out, HELD_OUT)
    network = network_for(train)
    name = NAMES[network] if weights is None else network
    recipe = _recipe(train, weights, network == DETECTOR)
    if known:
        plan = Plan(**known)
    else:
        sizes, images = SIZES[network == DETECTOR], (len(train.examples), len(val.examples), len(held_out.examples))
        say(f"trying how fast {name} trains here")
        pace = try_out(build_network(train, sizes[0], weights), train, val, recipe)
        plan = plan_for(seconds - (time.monotonic() - begin), pace, images, sizes, recipe)
        say(_told(plan, images[0], seconds))
    train, val, size = sampled(train, plan.images), sampled(val, plan.validated), plan.size

    def build():
        model = build_network(train, size, weights)
        if weights is not None and network == DETECTOR:
            restore_norms(model, network, weights, train, say)
        return model

    rate = SLOWER_RATE * recipe.learning_rate
    how = dict(epochs=plan.quantization_epochs, learning_rate=rate, warmup_epochs=0, seed=SEED + 1)
    images = f"{len(train.examples)} images of {len(train.class_names)} classes"
    return Work(
        name=name,
        train=train,
        val=val,
        held_out=held_out,
        build=build,
        training=replace(recipe, epochs=plan.epochs),
        quantization=replace(recipe, **how),
        calibration=CALIBRATION,
        summary=f"{name} learns from {images}, is quantized with quantization-aware training, converted to TFLite, and "
        "run on LiteRT's CPU and GPU delegate. All figures are of "
        f"{len(held_out.examples)} images that it was not trained on.",
        notes=(f"{size}x{size} pixels; weights to begin with: {'random' if weights is None else weights}.",),
        plan=asdict(plan),
    )


def _recipe(train, weights, detects):
    recipe = replace(load_recipe("finetune"), seed=SEED, batch_size=min(BATCH_SIZES[detects], len(train.examples)))
    return replace(recipe, **({} if detects else {"augment": {}}), **(RANDOM if weights is None else {}))


def _told(plan, images, seconds):
    some = "all" if plan.images == images else plan.images
    epochs = f"{plan.epochs} epochs and {plan.quantization_epochs} of quantization-aware training"
    seen = f"{some} of {images} images, {plan.validated} to validate"
    line = f"{plan.size}x{plan.size} pixels, {seen}, {epochs}: about {plan.seconds / 60:.1f} minutes"
    return line if plan.seconds <= seconds else f"{line}, since less would teach it nothing"
