"""Post-training quantization that learns: the quantized model is fitted to its original's answers, without labels."""

import itertools

import numpy as np
import tensorflow as tf
import tf_keras
from keras import ops

from ...detection.boxes import flatten_heads
from ...graph import is_detector
from ..data.examples import DetectionData, Example
from .aware import SURE, range_quantizers

RANGE_RATE = 0.01  # share of itself by which a range's end moves in the first steps, at most
STEADY, SPREAD = 0.9, 0.99  # how long slopes are remembered, and their squares
BATCH = 4  # images a step
BACKGROUND = 0.02  # weight of a prediction that finds nothing, beside 1 for a sure one


def refine(quantized, model, batches, steps=200, learning_rate=5e-5):
    """Train a calibrated model on the answers of the model that it comes from; no labels are needed.

    Small networks lose accuracy by 8 bits alone that their weights can make up for. Afterwards the ranges stay: they
    are where they serve the answers best, which no longer follows from the values that pass.

    Args:
        quantized: what `calibrate` has set the ranges of; weights and ranges are changed, the norms' statistics
            are not.
        model: the Keras 3 model that it was made of.
        batches: input batches in 0..1, one a step: `augmented` ones of few images, or a training set's.
        steps: training steps.
        learning_rate: Adam's, falling to nothing along a cosine.

    Returns:
        `quantized`.

    Raises:
        ValueError: where there are fewer batches than steps.
    """
    distance = _detector_distance(model) if is_detector(model) else _distance
    cosine = tf_keras.optimizers.schedules.CosineDecay
    optimizer, range_rate = tf_keras.optimizers.Adam(cosine(learning_rate, steps)), cosine(RANGE_RATE, steps)
    weights, ranges = quantized.trainable_weights, _ranges(quantized)
    ends = [end for range_ in ranges for end in range_.variables(None)[:2]]
    slope, square = tf.Variable(tf.zeros(len(ends))), tf.Variable(tf.zeros(len(ends)))

    @tf.function(reduce_retracing=True)
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            tape.watch(ends)
            loss = distance(wanted, tf.nest.flatten(quantized(batch, training=False)))
        gradients, slopes = tape.gradient(loss, (weights, ends), unconnected_gradients="zero")
        # Ranges differ by powers of ten: each moves by a share of itself, where the slopes of many steps agree.
        slopes = tf.stack(slopes) * tf.stack(ends)
        slope.assign(STEADY * slope + (1 - STEADY) * slopes)
        square.assign(SPREAD * square + (1 - SPREAD) * slopes**2)
        shares = range_rate(optimizer.iterations) * slope / (tf.sqrt(square) + 1e-9)
        for end, share in zip(ends, tf.unstack(shares), strict=True):
            end.assign(end * (1 - share))
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    for batch in itertools.islice(batches, steps):
        step(tf.constant(batch), tf.nest.flatten(model.predict_on_batch(batch)))
    if (done := int(optimizer.iterations)) < steps:
        raise ValueError(f"refinement needs a batch of images for each of {steps} steps; received {done}")
    return settle(quantized)


def settle(quantized):
    """Let no range of a quantized model move any more, whatever it is trained on; returns the model."""
    for range_ in _ranges(quantized):
        range_.moves = False
    return quantized


def augmented(images, seed=0):
    """Endless batches of the same few images, joined, cropped, mirrored and with other colours, for `refine`.

    As they are, a few images would be learnt by heart.

    Args:
        images: iterable of input batches (N, height, width, 3) of any range of values; they are kept in memory.
        seed: a non-negative integer that decides what becomes of them.

    Raises:
        ValueError: where they have not three channels.
    """
    from ..pipeline.detection import training_batches  # here: albumentations is an extra's

    pictures = [image for batch in images for image in np.asarray(batch, "float32")]
    if not pictures:
        return
    if (shape := pictures[0].shape)[-1:] != (3,):
        raise ValueError(f"images to be varied must be RGB, (N, height, width, 3). Received: {(None, *shape)}")
    low, high = min(map(np.min, pictures)), max(map(np.max, pictures))
    to_bytes = 255 / max(high - low, 1e-6)
    nothing = np.zeros((0, 4), "float32"), np.zeros(0, "int64")
    data = DetectionData([Example(np.rint((p - low) * to_bytes).astype("uint8"), *nothing) for p in pictures], ())
    for batch, _ in training_batches(data, shape[:2], min(BATCH, len(pictures)), seed=seed):
        yield batch.numpy() * 255 / to_bytes + low


def _ranges(quantized):
    """The ranges that still move."""
    return list(dict.fromkeys(q.range for q in range_quantizers(quantized) if q.range.moves))


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
