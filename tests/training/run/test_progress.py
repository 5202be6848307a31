"""How far a run is, and when it is over."""

import pytest

from cspkeras.training import Recipe
from cspkeras.training.run.progress import Progress, write_results


def after(*scores, **recipe):
    """A `Progress` and what `add` returned, after epochs with these scores; None where none was measured."""
    progress = Progress(Recipe(**recipe), 4, "val")
    rows = [{"epoch": i} | ({} if score is None else {"val": score}) for i, score in enumerate(scores, 1)]
    return progress, [progress.add(row) for row in rows]


def test_the_best_epoch_is_the_first_of_equal_ones():
    progress, better = after(0.0, None, 0.5, 0.5, 0.3, 0.6)
    assert better == [True, False, True, False, False, True] and progress.best["epoch"] == 6
    assert after()[0].best is None


@pytest.mark.parametrize(
    ("scores", "finished"),
    (((), False), ((0.1,), False), ((0.1, 0.2), False), ((0.2, 0.1, 0.2), True), ((None, None, None), True)),
)
def test_patience(scores, finished):
    assert after(*scores, epochs=9, patience=2)[0].finished == finished
    assert not after(*scores, epochs=9)[0].finished
    assert after(*scores, epochs=3)[0].finished == (len(scores) == 3)


def test_another_number_of_steps_per_epoch():
    state = {"step": 7, "steps": 5, "rows": [{"epoch": 1}]}
    progress = after()[0]
    progress.restore(state)
    assert progress.step == 4 and progress.rows == state["rows"]
    progress.restore(state | {"steps": 4})
    assert progress.step == 7


def test_results(tmp_path):
    write_results(tmp_path / "results.csv", [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 2.0, "val": 0.5}])
    assert (tmp_path / "results.csv").read_text() == "epoch,loss,val\n1,2.5,\n2,2.0,0.5\n"
