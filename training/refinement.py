"""Post-training quantization that learns: the quantized model is fitted to its original's answers, without labels."""

import numpy as np
import tensorflow as tf
import tf_keras
from keras import ops

from ..detection.boxes import flatten_heads
from .quantization import SURE
from .quantizers import RangeQuantizer

RANGE_RATE = 0.004  # share of itself by which a range's end moves in the first steps
BATCH = 4  # pictures a step
BACKGROUND = 0.02  # weight of a prediction that finds nothing, beside 1 for a sure one


def refine(quantized, model, images, steps=200, learning_rate=5e-5, seed=0):
    """Train a calibrated model on the answers of the model that it comes from; no labels are needed.

    Small networks lose accuracy by 8 bits alone that their weights can make up for. Where the training data is at hand,
    quantization-aware training does this better.

    Args:
        quantized: what `calibrate` has set the ranges of; weights and ranges are changed, the norms' statistics
            are not.
        model: the Keras 3 model that it was made of.
        images: iterable of input batches in 0..1; some dozens of pictures, kept in memory.
        steps: training steps, each on four pictures, mirrored every other time.
        learning_rate: Adam's, falling to nothing along a cosine.
        seed: decides which pictures a step takes.

    Returns:
        `quantized`.

    Raises:
        ValueError: where there are no images.
    """
    pictures = [picture for batch in images for picture in np.asarray(batch, "float32")]
    if not pictures:
        raise ValueError("refinement needs at least one picture; received none")
    pictures, rng = np.stack(pictures), np.random.default_rng(seed)
    distance = _detector_distance(model) if hasattr(model, "anchors") else _distance
    cosine = tf_keras.optimizers.schedules.CosineDecay
    optimizer, range_rate = tf_keras.optimizers.Adam(cosine(learning_rate, steps)), cosine(RANGE_RATE, steps)
    weights, ends = quantized.trainable_weights, _range_ends(quantized)
    mean, square = tf.Variable(tf.zeros(len(ends))), tf.Variable(tf.zeros(len(ends)))

    @tf.function(reduce_retracing=True)
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            tape.watch(ends)
            loss = distance(wanted, tf.nest.flatten(quantized(batch, training=False)))
        gradients, slopes = tape.gradient(loss, (weights, ends), unconnected_gradients="zero")
        # Ranges differ by powers of ten: each moves by a share of itself, where the slopes of many steps agree.
        slopes = tf.stack(slopes) * tf.stack(ends)
        mean.assign(0.9 * mean + 0.1 * slopes)
        square.assign(0.99 * square + 0.01 * slopes**2)
        move = range_rate(optimizer.iterations) * mean / (tf.sqrt(square) + 1e-9)
        for end, share in zip(ends, tf.unstack(move), strict=True):
            end.assign(end * (1 - share))
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    for number in range(steps):
        batch = pictures[rng.choice(len(pictures), min(BATCH, len(pictures)), replace=False)]
        batch = batch[:, :, ::-1] if number % 2 else batch
        step(tf.constant(batch), tf.nest.flatten(model.predict_on_batch(batch)))
    return quantized


def _range_ends(quantized):
    """The variables in which the model's moving ranges begin and end."""
    quantizers = [getattr(getattr(layer, "quantize_config", None), "output", None) for layer in quantized.layers]
    ranges = dict.fromkeys(q.range for q in quantizers if isinstance(q, RangeQuantizer) and not q.range.fixed)
    return [end for range_ in ranges for end in range_.variables(None)[:2]]


def _distance(wanted, answered):
    """Squared difference over the variance of what is wanted, the sum over the outputs."""
    return sum(
        tf.reduce_mean(tf.square(a - w)) / (tf.math.reduce_variance(w) + 1e-6)
        for w, a in zip(wanted, answered, strict=True)
    )


def _detector_distance(model):
    """A function as `_distance` for raw heads, where what finds something counts most."""
    classes = len(model.class_names)

    def distance(wanted, answered):
        (wanted_boxes, wanted_scores), (boxes, scores) = (flatten_heads(x, classes) for x in (wanted, answered))
        weight = ops.sigmoid(wanted_scores[..., :1]) + BACKGROUND
        logits = ops.square(ops.clip(scores, -SURE, SURE) - ops.clip(wanted_scores, -SURE, SURE))
        likely = ops.square(ops.sigmoid(scores) - ops.sigmoid(wanted_scores))
        error = ops.concatenate([ops.square(boxes - wanted_boxes), 4 * likely + 0.01 * logits], axis=-1)
        return ops.sum(error * weight) / ops.sum(weight)

    return distance
