"""The ranges of quantized tensors, and kernels rounded by channel."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cspkeras.training.quantization.quantizers import TAIL, FakeQuant, extremes, round_kernel, rounded


def built(*args, **options):
    quantizer = FakeQuant(*args, **options)
    quantizer.build(())
    return quantizer


def give(quantizer, **ends):
    """Set a quantizer's variables by their names."""
    for weight in quantizer.weights:
        if weight.name in ends:
            weight.assign(ends[weight.name])


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (-0.2, 7.0), (-9.0, 1.0)])
def test_a_leaky_relus_scales_are_in_a_ratio_that_xnnpack_computes_exactly(low, high):
    quantizer = built(leaky=1)
    give(quantizer, low0=low, high0=high, low=low / 10, high=high)
    values = np.linspace(low, high, 5001, dtype="float32")
    steps = np.diff(np.unique(quantizer(values, before=0)))
    ratio = 256 * np.median(steps) / ((high - low / 10) / 255)
    assert ratio / 10 == pytest.approx(round(ratio / 10), abs=1e-3)
    assert 1 <= np.median(steps) / ((high - low) / 255) < 1.1, "no more of the range is given up than is needed"
    ends = quantizer.steps(before=0)
    assert np.median(steps) == pytest.approx((ends[1] - ends[0]) / 255, rel=1e-4), "the file's are the model's"


@pytest.mark.integration
@pytest.mark.parametrize("shape", [(1000,), (2, 400, 400, 8)])
def test_the_tail_is_left_out_and_zero_is_within(shape):
    values = np.random.default_rng(0).uniform(1, 2, shape).astype("float32")
    assert [float(end) for end in extremes(values, 0)] == [0, values.max()]
    values.reshape(-1)[:: round(5 / TAIL)] = 1000  # a fifth of the tail
    low, high = (float(end) for end in extremes(values, TAIL))
    assert low == 0
    assert high < 2.001 if values.size * TAIL > 1 else high == 1000, "of a small tensor no value is far"


@pytest.mark.parametrize(("far", "share", "left_out"), [(3.5, 1e-6, True), (30.0, 1e-6, True), (30.0, 1e-4, False)])
def test_the_tail_is_left_out_where_finer_steps_are_worth_it(far, share, left_out):
    values = np.random.default_rng(0).uniform(-1, 1, 1_000_000).astype("float32")
    values[:: round(1 / share)] = far
    for weighs in (False, True):
        high = float(extremes(values, 5 * TAIL, weighs)[1])
        assert high == (far if weighs and not left_out else pytest.approx(1, abs=1e-3))


def test_a_tail_of_all_channels_is_found():
    values = np.zeros((4, 300, 300, 16), "float32")
    values[..., 5] = 7  # where some channels alone were looked at, these might be missed
    assert float(extremes(values, TAIL)[1]) == 7


def test_the_first_batches_count_alike():
    quantizer = built()
    assert not quantizer.seen
    for high in (2.0, 4.0, 9.0):
        quantizer(np.float32([-1, high]), training=True, tail=0)
    assert quantizer.steps() == pytest.approx((-1, 5)) and quantizer.seen


def test_calibration_takes_the_widest_ends_and_leaves_none_of_those_of_the_start():
    quantizer = built()
    quantizer.calibrates = True
    for low, high in ((-0.5, 2.0), (-1.0, 1.0), (-0.2, 3.0)):
        quantizer(np.float32([[low, high]]))
    assert quantizer.steps() == pytest.approx((-1, 3))
    quantizer.calibrates = False
    quantizer(np.float32([[-90, 90]]))
    assert quantizer.steps() == pytest.approx((-1, 3)), "outside of training it stays"


def test_a_shared_range_grows_with_what_is_concatenated():
    quantizer = built()
    for _ in range(3):
        quantizer(quantizer(np.float32([-20, 0, 50]), training=True, leads=False), training=True)
    low, high = quantizer.steps()
    assert low == pytest.approx(-20, abs=0.5) and high == pytest.approx(50, abs=0.5)
    assert np.asarray(quantizer(np.float32([-90, 90]), leads=False)) == pytest.approx([low, high], abs=0.5)


@pytest.mark.parametrize("options", [{"fixed": (-8.0, 8.0)}, {"moves": False}], ids=str)
def test_a_fixed_range_stays(options):
    quantizer = built(**options)
    give(quantizer, low=-8, high=8)
    quantizer(np.float32([-100, 100]), training=True)
    assert quantizer.steps() == (-8, 8) and quantizer.ends == []


def test_values_below_the_floor_take_no_steps():
    quantizer = built()
    values = np.linspace(-5, 3, 3001, dtype="float32")
    calls = [{"training": True, "tail": 0, **limits} for limits in ({}, {"low": -1.0}, {"high": 1.0})]
    steps = [np.median(np.diff(np.unique(quantizer(values, **call)))) for call in calls]
    assert steps == pytest.approx([8 / 255, 4 / 255, 6 / 255], rel=0.01)


@pytest.mark.parametrize("options", [{}, {"fixed": [0.0, 6.0]}, {"leaky": 2, "moves": False}], ids=str)
def test_a_quantizer_is_made_again_of_its_configuration(options):
    made = FakeQuant.from_config(FakeQuant(name="x", **options).get_config())
    made.build(())
    given = FakeQuant(name="x", **options)
    given.build(())
    assert [w.path for w in made.weights] == [w.path for w in given.weights]
    assert made.get_config() == given.get_config() and made.steps() == given.steps()


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


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)], ids=str)
def test_a_kernel_has_255_steps_around_zero_for_each_channel(axes):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32") * np.geomspace(1, 100, 5)
    kernel = kernel.astype("float32")
    summed = tuple(axis for axis in range(4) if axis - 4 not in axes)
    scale = np.abs(kernel).max(summed, keepdims=True) / 127
    found = keras.ops.convert_to_numpy(round_kernel(kernel, axes))
    assert np.abs(found - np.rint(kernel / scale) * scale).max() <= 1.001 * scale.max(), "a tie may go either way"
    assert np.mean(np.abs(found - np.rint(kernel / scale) * scale) > 1e-3 * scale) < 0.01
    assert np.abs(np.rint(found / scale)).max() == 127
