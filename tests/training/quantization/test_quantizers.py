"""The ranges of quantized tensors."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from cspkeras.training.quantization.quantizers import TAIL, Range, RangeQuantizer, extremes, rounded


def built(*quantizers):
    layer = tf_keras.layers.Layer(name="x")
    for quantizer in quantizers:
        quantizer.build(None, "output", layer)
    return quantizers


def ends(range_):
    return [float(end) for end in range_.variables(None)[:2]]


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (-0.2, 7.0), (-9.0, 1.0)])
def test_a_leaky_relus_scales_are_in_a_ratio_that_xnnpack_computes_exactly(low, high):
    layer, before, after = tf_keras.layers.Layer(name="x"), Range(), Range()
    quantizer = RangeQuantizer(before, leaky=after)
    quantizer.build(None, "output", layer)
    for range_, values in ((before, (low, high)), (after, (low / 10, high))):
        for variable, value in zip(range_.variables(layer)[:2], values, strict=True):
            variable.assign(value)
    steps = np.diff(np.unique(quantizer(np.linspace(low, high, 5001, dtype="float32"), False, {})))
    ratio = 256 * np.median(steps) / ((high - low / 10) / 255)
    assert ratio / 10 == pytest.approx(round(ratio / 10), abs=1e-3)
    assert 1 <= np.median(steps) / ((high - low) / 255) < 1.1, "no more of the range is given up than is needed"


@pytest.mark.integration
@pytest.mark.parametrize("shape", [(1000,), (2, 400, 400, 8)])
def test_the_tail_is_left_out_and_zero_is_within(shape):
    values = np.random.default_rng(0).uniform(1, 2, shape).astype("float32")
    assert [float(end) for end in extremes(values, 0)] == [0, values.max()]
    values.reshape(-1)[:: round(5 / TAIL)] = 1000  # a fifth of the tail
    low, high = (float(end) for end in extremes(values, TAIL))
    assert low == 0
    assert high < 2.001 if values.size * TAIL > 1 else high == 1000, "of a small tensor no value is far"


def test_a_tail_of_all_channels_is_found():
    values = np.zeros((4, 300, 300, 16), "float32")
    values[..., 5] = 7  # where some channels alone were looked at, these might be missed
    assert float(extremes(values, TAIL)[1]) == 7


def test_the_first_batches_count_alike():
    (quantizer,) = built(RangeQuantizer(Range(), tail=0))
    for high in (2.0, 4.0, 9.0):
        quantizer(np.float32([-1, high]), True, {})
    assert ends(quantizer.range) == pytest.approx([-1, 5])


def test_a_shared_range_grows_with_what_is_concatenated():
    range_ = Range()
    member, leader = built(RangeQuantizer(range_, leads=False), RangeQuantizer(range_))
    for _ in range(3):
        leader(np.asarray(member(np.float32([-20, 0, 50]), True, {})), True, {})
    low, high = ends(range_)
    assert low == pytest.approx(-20, abs=0.5) and high == pytest.approx(50, abs=0.5)
    assert np.asarray(member(np.float32([-90, 90]), False, {})) == pytest.approx([low, high], abs=0.5)


def test_a_fixed_range_stays():
    (quantizer,) = built(RangeQuantizer(Range(8.0)))
    quantizer(np.float32([-100, 100]), True, {})
    assert ends(quantizer.range) == [-8, 8]


def test_values_below_the_floor_take_no_steps():
    plain, floored = built(RangeQuantizer(Range()), RangeQuantizer(Range(), limits=(-1.0, math.inf)))
    values = np.linspace(-5, 3, 3001, dtype="float32")
    steps = [np.median(np.diff(np.unique(quantizer(values, True, {})))) for quantizer in (plain, floored)]
    assert steps == pytest.approx([8 / 255, 4 / 255], rel=0.01)


@pytest.mark.integration
def test_the_slopes_of_a_ranges_ends_know_what_its_width_costs():
    values = tf.constant(np.append(np.random.default_rng(0).normal(size=20_000), [46.0, -46.0, 30.0]), tf.float32)

    def error(end):
        return tf.reduce_mean(tf.square(tf.clip_by_value(rounded(values, -end, end) - values, -1, 1)))

    best = min(np.geomspace(1, 46, 60), key=lambda end: float(error(tf.constant(end, tf.float32))))
    end = tf.Variable(46.0)
    for _ in range(300):
        with tf.GradientTape() as tape:
            loss = error(end)
        end.assign(end * (1 - 0.03 * tf.sign(tape.gradient(loss, end))))
    assert 3 < best < 6
    assert float(end) == pytest.approx(best, rel=0.15), "TensorFlow's own slopes leave it at 46"


def test_the_slopes_of_values_are_those_of_tensorflows_quantization():
    values = tf.constant(np.random.default_rng(1).normal(size=1000), tf.float32)
    slopes = []
    for quantize in (rounded, tf.quantization.fake_quant_with_min_max_vars):
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(quantize(values, tf.constant(-1.0), tf.constant(1.5)) ** 3)
        slopes.append(tape.gradient(loss, values))
    np.testing.assert_allclose(*slopes, rtol=1e-6)
