"""The demo's plan: its time, counted step by step, is kept, whatever the data set and the machine."""

import pytest

from cspkeras.demo.budget import LEAST_EPOCHS, OTHERS, QUANTIZED, SLOWER, Pace, plan_for
from cspkeras.training import Recipe

RECIPE, SIZES = Recipe(epochs=40, batch_size=8), (320, 256, 192)
PACES = {  # at the first of the sizes
    "two cores": Pace(320, start=15.0, image=0.08, answer=0.03),
    "a fast machine": Pace(320, start=5.0, image=0.004, answer=0.002),
    "a slow one": Pace(320, start=25.0, image=0.4, answer=0.1),
}


def seconds_of(plan, pace, held_out):
    """Return how long all steps of a plan take, one by one: (the trainings', all else)."""
    scale = (plan.size / pace.size) ** 2
    epoch = plan.images * pace.image * scale + plan.validated * pace.answer * scale
    others = pace.start + SLOWER * pace.start + OTHERS * pace.start + 3 * held_out * pace.answer * scale
    return plan.epochs * epoch + SLOWER * plan.quantization_epochs * epoch, others


@pytest.mark.parametrize("images", (5, 205, 5_000, 100_000))
@pytest.mark.parametrize("name", PACES)
@pytest.mark.parametrize("minutes", (5, 10, 60))
def test_the_time_is_kept_and_used(minutes, name, images):
    pace, held_out = PACES[name], min(200, images)
    plan = plan_for(60 * minutes, pace, (images, images // 4 + 1, held_out), SIZES, RECIPE)
    assert LEAST_EPOCHS <= plan.epochs <= 40 and min(images, 8) <= plan.images <= images
    assert plan.quantization_epochs == max(1, plan.epochs // QUANTIZED)
    trainings, others = seconds_of(plan, pace, held_out)
    assert trainings + others == pytest.approx(plan.seconds, rel=0.15)
    share = max(60 * minutes - others, 15 * minutes)
    assert trainings <= 1.1 * share
    if plan.epochs < 40:
        assert trainings >= 0.7 * share


@pytest.mark.parametrize(
    "minutes, name, images, expected",
    (
        (10, "two cores", 205, (320, 205)),  # all images, as large as they may be
        (10, "two cores", 100_000, (320, 758)),  # a part of them, seen several times
        (10, "a slow one", 205, (192, 205)),  # smaller images
        (2, "a slow one", 205, (192, 26)),  # longer than asked: less teaches nothing
        (2, "a fast machine", 5, (320, 5)),
    ),
)
def test_what_gives_way(minutes, name, images, expected):
    plan = plan_for(60 * minutes, PACES[name], (images, 50, 50), SIZES, RECIPE)
    assert (plan.size, plan.images) == (expected[0], pytest.approx(expected[1], rel=0.1))
    assert (plan.seconds > 60 * minutes) == (name == "a slow one" and minutes == 2)


def test_no_more_epochs_than_the_recipe_has():
    assert plan_for(3600, PACES["a fast machine"], (10, 5, 5), SIZES, RECIPE).epochs == 40
