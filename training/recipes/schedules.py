"""The learning rate over a run, a plain function of the step."""

import math

WARMUP_START = 0.01  # share of the rate with which the warm-up begins
MILESTONE_FACTOR = 0.1


def learning_rate(recipe, step, steps_per_epoch):
    """Return the learning rate of a run's step, from 0: the recipe's learning_rate times a factor.

    During the warm-up the factor rises from 0.01 to 1. After it, t being the share of the remaining steps that are
    done, it is (1 + cos(pi t)) / 2 for "cosine", (1 - t) ** power for "poly", 0.1 for each milestone passed for "step",
    and 1 for "constant". With "flat_cosine" it is 1 in the run's first half, and t the share of the second half that is
    done. A `final_rate` f makes f + (1 - f) c of the cosines' factor c.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(int(recipe.warmup_epochs * steps_per_epoch), total // 5)
    if step < warmup:
        return recipe.learning_rate * (WARMUP_START + (1 - WARMUP_START) * (step / warmup) ** recipe.warmup_power)
    t = min(1.0, (step - warmup) / max(1, total - warmup))
    factors = {
        "cosine": _cosine(t, recipe.final_rate),
        "flat_cosine": _cosine(max(0.0, 2 * step / total - 1), recipe.final_rate),
        "poly": (1 - t) ** recipe.power,
        "step": MILESTONE_FACTOR ** sum(step >= milestone * total for milestone in recipe.milestones),
        "constant": 1.0,
    }
    return recipe.learning_rate * factors[recipe.schedule]


def _cosine(t, final):
    return final + (1 - final) * (1 + math.cos(math.pi * min(t, 1.0))) / 2
