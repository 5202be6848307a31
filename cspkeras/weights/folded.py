"""Batch-norms of networks that were exported for inference, where they are folded into the convolutions."""

import keras
import numpy as np
from keras import layers, ops


def assign_folded(convolution, norm, kernel, bias):
    """Give a convolution and its batch-norm what was exported as one kernel and one bias.

    Each filter is scaled to the length 1 and its norm has the rest. Folded kernels carry their norms' scales, which
    differ by powers of ten between the channels: more than one scale of 8 bits, or one learning rate, serves.

    Args:
        convolution: a built layer without bias.
        norm: the built BatchNormalization behind it.
        kernel: in Keras' order of axes.
        bias: (filters,).
    """
    filters = kernel.reshape(-1, len(bias))  # a depthwise kernel's last axes are channels and 1
    length = np.maximum(np.sqrt(np.sum(np.square(filters), axis=0)), 1e-12)
    convolution.set_weights([(filters / length).reshape(kernel.shape)])
    norm.set_weights([length * np.sqrt(1 + norm.epsilon), bias, np.zeros_like(bias), np.ones_like(bias)])


def unfold_norms(model, images):
    """Give the batch-norms of a model with folded weights the statistics of images, so that it can be trained.

    A folded norm's statistics are those of no data: in training, where a norm uses the batch's own, the network
    would compute something else than it was trained to. Here each norm gets the mean and variance of what enters it,
    and the scale and shift that undo them: what the model answers in inference mode stays the same, and training goes
    on from there.

    Args:
        model: a functional model with pretrained weights; its norms are changed.
        images: iterable of input batches, some hundred images as the training will see them.

    Returns:
        `model`.

    Raises:
        ValueError: where there are no images.
    """
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    moments = [ops.mean(x, axis=(1, 2)) for norm in norms for x in (norm.input, ops.square(norm.input))]
    measure = keras.Model(model.input, moments)
    sums, count = 0, 0
    for batch in images:
        found = measure.predict_on_batch(np.asarray(ops.convert_to_numpy(batch), "float32"))
        sums = [total + np.sum(part, 0, "float64") for total, part in zip(sums or [0] * len(found), found, strict=True)]
        count += len(batch)
    if not count:
        raise ValueError("unfolding norms needs at least one batch of images; received none")
    for norm, mean, square in zip(norms, sums[0::2], sums[1::2], strict=True):
        mean, variance = mean / count, np.maximum(square / count - (mean / count) ** 2, 0)
        gamma, beta, old_mean, old_variance = map(ops.convert_to_numpy, norm.weights)
        scale = gamma / np.sqrt(old_variance + norm.epsilon)
        norm.set_weights([scale * np.sqrt(variance + norm.epsilon), beta + scale * (mean - old_mean), mean, variance])
    return model
