"""The batch size "auto"."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_classifier import PLAIN, TRAIN, VAL, colours, fit_tiny, tiny

from cspkeras.training import Recipe, fit
from cspkeras.training.recipes.optimizers import make_optimizer
from cspkeras.training.run import batch_size
from cspkeras.training.run.tasks import task_of

pytestmark = pytest.mark.integration


def test_automatic_batch_sizes(monkeypatch):
    model = tiny()
    data = colours(200)
    task = task_of(model, data, data, Recipe())
    model.compile(optimizer=make_optimizer(model, Recipe()), loss=task.loss())
    model.optimizer.build(model.trainable_variables)
    assert batch_size.largest_batch_size(task) == batch_size.CPU_BATCH_SIZE == 16
    assert batch_size.largest_batch_size(task_of(model, colours(9), data, Recipe())) == 4  # half of the examples

    monkeypatch.setattr(batch_size, "accelerators", lambda: ["gpu:0"])
    before, step, tried = model.get_weights(), model.train_on_batch, []

    def limited(images, target):
        tried.append(len(images))
        if len(images) > 40:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor")
        return step(images, target)

    monkeypatch.setattr(model, "train_on_batch", limited)
    assert batch_size.largest_batch_size(task) == 32 and tried == [8, 16, 32, 64]
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0
    monkeypatch.setattr(model, "train_on_batch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # an error of another kind is passed on
        batch_size.largest_batch_size(task)


@pytest.mark.integration
def test_an_automatic_batch_size_in_a_run(tmp_path):
    _, rows = fit_tiny(tmp_path, batch_size="auto", epochs=1)
    assert '"batch_size": 12' in (tmp_path / "recipe.json").read_text()
    options = Recipe(**PLAIN | dict(batch_size="auto", epochs=2))
    assert fit(tiny(), TRAIN, VAL, tmp_path, options, resume=True, report=lambda line: None)[:1] == rows
