"""Grouped convolutions reach the GPU in a form that it computes, and compute what they did."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cspkeras.layers import GroupedConv2D
from cspkeras.tflite import check, convert
from cspkeras.tflite.export.convert import reference
from cspkeras.tflite.export.merged_groups import merged

# (groups, channels of one, filters of one) -> the groups they are merged to
GROUPS = {
    (16, 2, 1): 4,
    (8, 2, 2): 4,
    (4, 4, 2): 2,
    (4, 6, 6): 2,
    (2, 8, 2): 1,
    (3, 4, 2): 1,
    (4, 4, 4): 4,
    (2, 8, 4): 2,
}
IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 16, 16, 3)).astype("float32")


@pytest.mark.parametrize("shape", GROUPS, ids=str)
def test_merged_groups_compute_the_same(shape):
    groups, inner, outer = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 6, 5, groups * inner))
    kernel = rng.normal(size=(groups * outer, 3, 3, inner))
    wide = merged(kernel, groups)
    assert groups * inner // wide.shape[-1] == GROUPS[shape]
    before, after = (tf.nn.conv2d(x, k.transpose(1, 2, 3, 0), 1, "SAME").numpy() for k in (kernel, wide))
    np.testing.assert_allclose(after, before, atol=1e-12)


@pytest.mark.integration
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_gpu_computes_every_grouping(precision, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(IMAGES.shape[1:])
    outputs = []
    for groups, inner, outer in GROUPS:
        x = keras.layers.Conv2D(groups * inner, 1)(inputs)
        outputs.append(GroupedConv2D(groups * outer, 3, groups=groups, padding="same")(x))
    model = keras.Model(inputs, outputs)
    calibration = (image[None] for image in IMAGES) if precision == "int8" else None
    path = convert(model, tmp_path / "groups.tflite", precision, calibration)
    checked = check(path, reference=reference(model), images=IMAGES)
    assert checked.faults == []
    if checked.gpu_delegated is None:
        pytest.skip(checked.gpu_note)
    assert checked.gpu_delegated
