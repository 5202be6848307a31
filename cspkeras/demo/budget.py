"""How much to train, so that a time suffices: how fast this machine is, and a plan that follows from it."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from ..training.data.examples import sampled
from ..training.run.tasks import task_of
from ..training.run.trainer import compile_model

TRIED_STEPS, TRIED_ANSWERS = 6, 16  # the latter in images
ENOUGH = 2000  # images to train on, of all epochs together: for fewer of them the input is made smaller
LEAST_EPOCHS = 5
LEAST_SHARE = 1 / 4  # of the time, for the trainings' steps, where all else takes too much of it
QUANTIZED, SLOWER = 5, 2.5  # epochs to one of quantization-aware training, which takes so many times as long
VALIDATED = 1 / 4  # images of an epoch's validation to one that is trained on
LEAST_VALIDATED, MOST_VALIDATED = 16, 500
OTHERS = 3  # conversion, checks and report take so many times what a training takes beside its steps
MEASURED = 3  # models on the held-out images


class Pace(NamedTuple):
    """How fast a machine trains a network, in seconds."""

    size: int  # side of the input, in pixels
    start: float  # of a training beside its steps
    image: float  # of training, an image
    answer: float  # of measuring, an image


@dataclass(frozen=True)
class Plan:
    """What is trained."""

    size: int  # side of the input, in pixels
    images: int  # to train on
    validated: int  # images that each epoch is measured on
    epochs: int
    quantization_epochs: int
    seconds: float  # that all of it is going to take


def try_out(model, train, val, recipe):
    """Return the `Pace` of a model, which a few steps of training change."""
    few = sampled(val, TRIED_ANSWERS)
    task = task_of(model, train, few, recipe, lambda line: None)  # its lines come again when all is trained
    compile_model(task)
    batches = iter(task.training_batches(recipe.batch_size, 0))

    def step():
        model.train_on_batch(*next(batches))

    first_step, first_answers = _seconds(step), _seconds(task.measure)
    image = sum(_seconds(step) for _ in range(TRIED_STEPS)) / TRIED_STEPS / recipe.batch_size
    answer = _seconds(task.measure) / len(few.examples)
    return Pace(model.input_shape[1], first_step + first_answers, image, answer)


def _seconds(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def plan_for(seconds, pace, images, sizes, recipe):
    """Return a `Plan` that takes no more than `seconds`; where these are too few, it takes longer, and says so.

    Args:
        seconds: how long all of it may take.
        pace: the `Pace` at one of the sizes.
        images: numbers of images to train on, to validate on and held out.
        sizes: sides of the input in pixels to choose from, the best first.
        recipe: how to train, its epochs the most that are of use.
    """
    train, val, held_out = images
    for size in sizes:
        scale = (size / pace.size) ** 2
        fixed = (1 + SLOWER + OTHERS) * pace.start + MEASURED * held_out * pace.answer * scale
        # Of an image in an epoch, with its share of the validation and of quantization-aware training.
        each = (pace.image + VALIDATED * pace.answer) * scale * (1 + SLOWER / QUANTIZED)
        seen = int(max(0.0, seconds - fixed, LEAST_SHARE * seconds) / each)
        if seen >= ENOUGH:
            break
    count = min(train, max(recipe.batch_size, seen // LEAST_EPOCHS))
    epochs = min(recipe.epochs, max(LEAST_EPOCHS, seen // count))
    validated = min(val, MOST_VALIDATED, max(LEAST_VALIDATED, round(VALIDATED * count)))
    return Plan(size, count, validated, epochs, max(1, epochs // QUANTIZED), fixed + epochs * count * each)
