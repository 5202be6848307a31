"""Gradients at feature maps while a network trains: how correlated they are, and how many are independent."""

import keras
import numpy as np


def gradients_at(model, names, images, labels):
    """Return the gradients of a classifier's cross-entropy at the outputs of layers, as a training step computes them.

    Args:
        model: a functional Keras 3 model that gives logits; it is not changed.
        names: names of layers whose outputs are (N, H, W, C).
        images: (N, height, width, channels).
        labels: (N,) indices of classes.

    Returns:
        {name: array (N * H * W, C)}; a column is the gradient at a channel.
    """
    import tensorflow as tf

    maps = keras.Model(model.input, [*(model.get_layer(name).output for name in names), *model.outputs])
    before = [variable.numpy() for variable in maps.non_trainable_variables]
    with tf.GradientTape() as tape:
        *found, logits = maps(images, training=True)
        loss = tf.reduce_sum(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    gradients = tape.gradient(loss, found)
    for variable, value in zip(maps.non_trainable_variables, before, strict=True):
        variable.assign(value)  # the norms' averages
    return {name: x.numpy().reshape(-1, x.shape[-1]) for name, x in zip(names, gradients, strict=True)}


def correlation(gradients, others=None):
    """Return the mean absolute correlation, 0 to 1, of all pairs of columns.

    With `others`, the pairs are of one column of each. Constant columns are left out.
    """
    first = _standard(gradients)
    if others is None:
        table, count = np.abs(first.T @ first), first.shape[1]
        return float((table.sum() - np.trace(table)) / (count * (count - 1)))
    return float(np.abs(first.T @ _standard(others)).mean())


def effective_rank(gradients):
    """Return the number of independent columns: the exponential of the entropy of their normalized spectrum.

    As in Roy and Vetterli, "The effective rank" (EUSIPCO 2007), of the columns' correlation matrix: the number
    of columns where they are uncorrelated, 1 where all are proportional.
    """
    columns = _standard(gradients)
    spectrum = np.linalg.eigvalsh(columns.T @ columns) / columns.shape[1]
    spectrum = spectrum[spectrum > 1e-12]
    return float(np.exp(-np.sum(spectrum * np.log(spectrum))))


def _standard(columns):
    """Return the columns that are not constant, with mean 0 and length 1."""
    columns = columns - columns.mean(axis=0)
    length = np.linalg.norm(columns, axis=0)
    return columns[:, length > 0] / length[length > 0]
