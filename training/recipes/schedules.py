"""The learning rate over a run: a plain function of the step."""

import math

START = 0.01  # of the rate, where the warm-up begins
FALL = 0.1  # what a milestone leaves of the rate


def rate(recipe, step, steps_per_epoch):
    """The learning rate of a step.

    Args:
        recipe: `Recipe`; its learning_rate, schedule, power, milestones, warmup_epochs, warmup_power and epochs decide.
        step: of the run, from 0.
        steps_per_epoch: steps in each epoch.

    Returns:
        A float. While it warms up: from a hundredth to the whole. After it, t being the part of the rest that is over:
        "cosine" (1 + cos(pi t)) / 2, "poly" (1 - t) ** power, both with nothing at the end; "step" a tenth for each of
        the milestones that is passed, as parts of the whole run; "constant" the whole.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(int(recipe.warmup_epochs * steps_per_epoch), total // 5)
    if step < warmup:
        return recipe.learning_rate * (START + (1 - START) * (step / warmup) ** recipe.warmup_power)
    t = min(1.0, (step - warmup) / max(1, total - warmup))
    factors = {
        "cosine": (1 + math.cos(math.pi * t)) / 2,
        "poly": (1 - t) ** recipe.power,
        "step": FALL ** sum(step >= milestone * total for milestone in recipe.milestones),
        "constant": 1.0,
    }
    return recipe.learning_rate * factors[recipe.schedule]
