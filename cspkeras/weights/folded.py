"""Batch-norms of networks exported for inference, which folds them into the convolutions."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike


def assign_folded(convolution, norm, kernel, bias):
    """Assign to a convolution and its norm what was exported as one kernel, in Keras' order of axes, and one bias.

    Each filter is scaled to the length 1; its norm gets the scale. Folded kernels contain the scales of their norms,
    which differ by powers of ten between channels: too much for one 8-bit scale, or for one learning rate.
    """
    filters = kernel.reshape(-1, len(bias))  # a depthwise kernel's last axes are channels and 1
    length = np.maximum(np.sqrt(np.sum(np.square(filters), axis=0)), 1e-12)
    convolution.set_weights([(filters / length).reshape(kernel.shape)])
    norm.set_weights([length * np.sqrt(1 + norm.epsilon), bias, np.zeros_like(bias), np.ones_like(bias)])


def unfold_norms(model: keras.Model, images: Iterable[ArrayLike]) -> keras.Model:
    """Set the batch-norms of a model with folded weights to the statistics of images, so that it can be trained.

    The statistics of a folded norm are those of no data: in training, where a norm uses those of the batch, the network
    would compute something else than it was trained to. Here each norm gets the mean and variance of its input,
    and the scale and shift that undo them: the outputs in inference mode stay the same, and training continues from
    there.

    Args:
        model: a functional model with pretrained weights; its norms are changed.
        images: iterable of input batches, some hundred images as the training will see them.

    Returns:
        `model`.

    Raises:
        ValueError: if there are no images.

    Example:
        >>> import cspkeras
        >>> model = cspkeras.YOLOXNano(weights="yolox_nano.onnx")  # doctest: +SKIP
        >>> model = cspkeras.unfold_norms(model, (images for images, _ in batches))  # doctest: +SKIP
    """
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    moments = [ops.mean(x, axis=(1, 2)) for norm in norms for x in (norm.input, ops.square(norm.input))]
    measure = keras.Model(model.input, moments)
    sums: list = [0] * len(moments)
    count = 0
    for batch in images:
        array = np.asarray(ops.convert_to_numpy(batch), "float32")
        found = measure.predict_on_batch(array)
        sums = [total + np.sum(part, 0, "float64") for total, part in zip(sums, found, strict=True)]
        count += len(array)
    if not count:
        raise ValueError("unfolding norms needs at least one batch of images; received none")
    for norm, mean, square in zip(norms, sums[0::2], sums[1::2], strict=True):
        mean, variance = mean / count, np.maximum(square / count - (mean / count) ** 2, 0)
        gamma, beta, old_mean, old_variance = map(ops.convert_to_numpy, norm.weights)
        scale = gamma / np.sqrt(old_variance + norm.epsilon)
        norm.set_weights([scale * np.sqrt(variance + norm.epsilon), beta + scale * (mean - old_mean), mean, variance])
    return model
