"""Frozen stages."""

import re

import keras
import numpy as np
import pytest
from small_networks import shallow_detector
from tiny_classifier import fit_tiny, tiny

from cspkeras.training.recipes.freezing import frozen

pytestmark = pytest.mark.integration


def test_frozen_stages():
    model = shallow_detector()
    names = {layer.name for layer in model.layers if layer.trainable_weights}
    with frozen(model, 2):
        still = {layer.name for layer in model.layers if layer.trainable_weights}
    assert names - still == {name for name in names if re.match("stem_|stage1_|stage2_|transition[12]_", name)}
    assert {layer.name for layer in model.layers if layer.trainable_weights} == names
    with pytest.raises(ValueError, match="^freeze must be a stage of .* Received: freeze=9$"), frozen(model, 9):
        pass


@pytest.mark.integration
def test_frozen_stages_do_not_change(tmp_path):
    model = tiny()
    before = model.get_weights()
    fit_tiny(tmp_path, model, freeze=1, epochs=2)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [weight.path.startswith("stage1") for weight in model.weights]
    assert all(layer.trainable for layer in keras.models.load_model(tmp_path / "best.keras").layers)
