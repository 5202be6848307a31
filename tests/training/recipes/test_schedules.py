"""Learning rates, held against Keras' own schedules."""

import dataclasses

import keras
import pytest

from cspkeras.training import Recipe
from cspkeras.training.recipes.schedules import learning_rate

STEPS = 10
RECIPE = Recipe(epochs=20, learning_rate=0.5, warmup_epochs=2, power=3)
decay = keras.optimizers.schedules
KERAS = {
    "cosine": decay.CosineDecay(0.005, 180, warmup_target=0.5, warmup_steps=20),
    "poly": lambda step: decay.PolynomialDecay(0.5, 180, end_learning_rate=0.0, power=3.0)(step - 20),
    "step": decay.PiecewiseConstantDecay([159, 179], [0.5, 0.05, 0.005]),
    "flat_cosine": lambda step: decay.CosineDecay(0.5, 100, alpha=0.0)(max(0, step - 100)),
    "constant": lambda step: 0.5,
}


@pytest.mark.parametrize("schedule", KERAS)
def test_the_rate_after_the_warm_up(schedule):
    recipe = dataclasses.replace(RECIPE, schedule=schedule)
    for step in range(20, 200, 7):
        assert learning_rate(recipe, step, STEPS) == pytest.approx(float(KERAS[schedule](step)), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("schedule", ["cosine", "flat_cosine"])
def test_a_cosine_ends_at_the_final_rate(schedule):
    recipe = dataclasses.replace(RECIPE, schedule=schedule, final_rate=0.05)
    begin = 20 if schedule == "cosine" else 100
    expected = decay.CosineDecay(0.5, 200 - begin, alpha=0.05)
    for step in (20, 99, 101, 150, 199, 200):
        rate = learning_rate(recipe, step, STEPS)
        assert rate == pytest.approx(float(expected(max(0, step - begin))), rel=1e-4)
    assert rate == pytest.approx(0.025)


def test_the_warm_up():
    for step in range(20):
        assert learning_rate(RECIPE, step, STEPS) == pytest.approx(float(KERAS["cosine"](step)), rel=1e-5)
    burn_in = dataclasses.replace(RECIPE, warmup_power=4)
    assert learning_rate(burn_in, 10, STEPS) == pytest.approx(0.5 * (0.01 + 0.99 / 16))
    assert learning_rate(burn_in, 0, STEPS) == pytest.approx(0.005)


def test_a_warm_up_is_a_fifth_of_the_run_at_most():
    recipe = Recipe(epochs=1, learning_rate=1.0, warmup_epochs=2)
    assert learning_rate(recipe, 2, STEPS) == 1.0 and learning_rate(recipe, 1, STEPS) < 1
    assert learning_rate(Recipe(epochs=1, learning_rate=1.0, warmup_epochs=0), 0, STEPS) == 1.0
