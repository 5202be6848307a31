"""Post-training quantization that learns: the quantized model is fitted to its original's answers, without labels."""

import itertools
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...detection.boxes import flatten_heads
from ...graph import is_detector
from ..data.examples import DetectionData, Example
from .aware import quantizers_of
from .placement import SATURATED_LOGIT

RANGE_RATE = 0.01  # share of itself by which a range's end moves in the first steps, at most
SLOPE_DECAY, SQUARE_DECAY = 0.9, 0.99  # of the moving averages of the ranges' slopes and of their squares
BATCH = 4  # images a step
BACKGROUND = 0.02  # weight of a prediction that finds nothing, against 1 for a sure one


def refine(
    quantized: keras.Model,
    model: keras.Model,
    batches: Iterable[np.ndarray],
    steps: int = 200,
    learning_rate: float = 5e-5,
) -> keras.Model:
    """Train a calibrated model on the answers of the model that it comes from; no labels are needed.

    The weights of small networks can make up for some of the accuracy that 8 bits cost. Afterwards the ranges are
    fixed: they are where they serve the answers best, which no longer follows from the values that pass.

    Args:
        quantized: a model from `quantize_aware`, calibrated; its weights and ranges are changed, the norms' statistics
            are not.
        model: the Keras 3 model that it was made of.
        batches: input batches (N, height, width, channels), one a step, of values that the model takes.
        steps: number of training steps.
        learning_rate: Adam's in the first step; it falls to zero along a cosine.

    Returns:
        `quantized`.

    Raises:
        ValueError: where there are fewer batches than steps, and where Keras runs on another backend than TensorFlow.

    Example:
        >>> from cspkeras.training import calibrate, quantize_aware, refine, training_batches
        >>> quantized = calibrate(quantize_aware(detector), images)  # doctest: +SKIP
        >>> batches = (batch.numpy() for batch, _ in training_batches(data, (416, 416), 4))  # doctest: +SKIP
        >>> quantized = refine(quantized, detector, batches, steps=200)  # doctest: +SKIP
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ValueError(f"refine needs the variable KERAS_BACKEND=tensorflow. Received: backend {backend!r}")
    distance = _detector_distance(model) if is_detector(model) else _distance
    cosine = keras.optimizers.schedules.CosineDecay
    optimizer, range_rate = keras.optimizers.Adam(cosine(learning_rate, steps)), cosine(RANGE_RATE, steps)
    weights = quantized.trainable_weights
    optimizer.build(weights)  # in its first step TensorFlow would trace it twice
    variables = [weight.value for weight in weights]
    ends = [end.value for quantizer in quantizers_of(quantized) for end in quantizer.ends]
    slope, square = tf.Variable(tf.zeros(len(ends))), tf.Variable(tf.zeros(len(ends)))

    @tf.function(reduce_retracing=True, autograph=False)
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            tape.watch(ends)
            loss = distance(wanted, keras.tree.flatten(quantized(batch, training=False)))
        gradients, slopes = tape.gradient(loss, (variables, ends), unconnected_gradients="zero")
        # Ranges differ by powers of ten: each moves by a share of itself, where the slopes of many steps agree.
        slopes = tf.stack(slopes) * tf.stack(ends)
        slope.assign(SLOPE_DECAY * slope + (1 - SLOPE_DECAY) * slopes)
        square.assign(SQUARE_DECAY * square + (1 - SQUARE_DECAY) * slopes**2)
        shares = range_rate(optimizer.iterations) * slope / (tf.sqrt(square) + 1e-9)
        for end, share in zip(ends, tf.unstack(shares), strict=True):
            end.assign(end * (1 - share))
        optimizer.apply(gradients, weights)

    for batch in itertools.islice(batches, steps):
        step(tf.constant(batch), keras.tree.flatten(model.predict_on_batch(batch)))
    if (done := int(optimizer.iterations)) < steps:
        raise ValueError(f"refinement needs a batch of images for each of {steps} steps; received {done}")
    return fix_ranges(quantized)


def fix_ranges(quantized):
    """Fix the ranges of a quantized model, whatever it is trained on later.

    Returns:
        The model.
    """
    for quantizer in quantizers_of(quantized):
        quantizer.moves = False
    return quantized


def augmented(images, seed=0):
    """Vary a few images endlessly for `refine`, which would learn them by heart: join, crop, mirror and recolour them.

    Args:
        images: iterable of input batches (N, height, width, 3) of any range of values; they are kept in memory.
        seed: non-negative seed of the augmentation.

    Yields:
        Batches of up to 4 images, in the range of values of `images`.

    Raises:
        ValueError: where the images don't have three channels.
    """
    from ..pipeline.detection import training_batches  # here: albumentations is an extra's

    samples = [image for batch in images for image in np.asarray(batch, "float32")]
    if not samples:
        return
    if (shape := samples[0].shape)[-1:] != (3,):
        raise ValueError(f"images to be varied must be RGB, (N, height, width, 3). Received: {(None, *shape)}")
    low, high = min(map(np.min, samples)), max(map(np.max, samples))
    to_bytes = 255 / max(high - low, 1e-6)
    nothing = np.zeros((0, 4), "float32"), np.zeros(0, "int64")
    data = DetectionData(
        [Example(np.rint((sample - low) * to_bytes).astype("uint8"), *nothing) for sample in samples], ()
    )
    for batch, _ in training_batches(data, shape[:2], min(BATCH, len(samples)), seed=seed):
        yield batch.numpy() * 255 / to_bytes + low


def _distance(wanted, answered):
    """The squared difference over the variance of what is wanted, summed over the outputs."""
    return sum(
        tf.reduce_mean(tf.square(a - w)) / (tf.math.reduce_variance(w) + 1e-6)
        for w, a in zip(wanted, answered, strict=True)
    )


def _detector_distance(model):
    """A function like `_distance` for raw heads, in which predictions that find something count most."""

    def clipped(scores):
        return ops.clip(scores, -SATURATED_LOGIT, SATURATED_LOGIT)

    def distance(wanted, answered):
        (wanted_boxes, wanted_scores), (boxes, scores) = (flatten_heads(x, model.anchors) for x in (wanted, answered))
        found = wanted_scores[..., :1] if model.anchors.objectness else ops.max(wanted_scores, axis=-1, keepdims=True)
        weight = ops.sigmoid(found) + BACKGROUND
        logits = ops.square(clipped(scores) - clipped(wanted_scores))
        likely = ops.square(ops.sigmoid(scores) - ops.sigmoid(wanted_scores))
        error = ops.concatenate([ops.square(boxes - wanted_boxes), 4 * likely + 0.01 * logits], axis=-1)
        return ops.sum(error * weight) / ops.sum(weight)

    return distance
