"""Darknet's .weights files: a header, then the floats of one layer after the other, without names."""

import os
import struct
from dataclasses import dataclass

import numpy as np
from keras import layers

from ..impostors import check_is_weights


@dataclass(frozen=True)
class WeightedLayer:
    """The Keras layers that hold the floats of one layer of a cfg."""

    index: int  # number of the layer, from 0
    place: str  # the layer's description in errors
    # a built Conv2D, DepthwiseConv2D or Dense (which is a 1x1 convolution); a connected layer is a convolution as large
    # as its input
    convolution: layers.Layer
    norm: layers.BatchNormalization | None = None  # the built BatchNormalization after it, or None
    connected: bool = False  # whether it is a connected layer, whose floats have an order of their own

    @property
    def kernel_shape(self):
        """The shape in the file: (filters, channels per filter, height, width)."""
        *sides, channels, filters = self.convolution.kernel.shape
        height, width = sides or (1, 1)
        if isinstance(self.convolution, layers.DepthwiseConv2D):
            channels, filters = 1, channels * filters
        return filters, channels, height, width

    @property
    def size(self):
        """The number of floats."""
        filters = self.kernel_shape[0]
        return int(np.prod(self.kernel_shape)) + filters * (4 if self.norm else 1)

    def split(self, floats, transposed):
        """Split the floats into (kernel, bias, scale, mean, variance), the last three None without batch-norm."""
        shape, filters = self.kernel_shape, self.kernel_shape[0]
        statistics = 3 * filters if self.norm else 0
        bias, rest = np.split(floats, [filters])
        if self.connected:
            kernel, rest = np.split(rest, [len(rest) - statistics])
        else:
            rest, kernel = np.split(rest, [statistics])
        if self.connected and transposed:
            kernel = kernel.reshape(-1, filters).T
        scale, mean, variance = rest.reshape(3, filters) if self.norm else (None, None, None)
        return kernel.reshape(shape), bias, scale, mean, variance

    def assign(self, kernel, bias, scale, mean, variance):
        """Set the weights to the result of `split`."""
        # (filters, channels, height, width) to Keras' order; a depthwise kernel has its filters in the channels' place.
        kernel = kernel.transpose(2, 3, 1, 0).reshape(self.convolution.kernel.shape)
        if self.norm:
            self.convolution.set_weights([kernel])
            self.norm.set_weights([scale, bias, mean, variance])
        else:
            self.convolution.set_weights([kernel, bias])


def load_weights_file(path, weighted, *, whole=True):
    """Load a .weights file into `WeightedLayer`s in the cfg's order; none is touched unless all of the file fits.

    If `whole`, the file must end after them. A ValueError names the layer at which the file ends too early or should
    have ended, or that has a variance below zero, as in the weights of another network.
    """
    expected = sum(layer.size for layer in weighted)
    with open(path, "rb") as file:
        transposed = _read_header(path, file)
        found = _count(file)
        floats = np.fromfile(file, "<f4", int(min(expected, found)))
    totals = f"(the network takes {expected:,} floats, the file holds {found:,.12g})"
    values, start = [], 0
    for layer in weighted:
        if layer.size > found - start:
            raise ValueError(
                f"{path}: ends in {layer.place}: expected {layer.size:,} floats, found {found - start:,.12g} {totals}"
            )
        values.append(layer.split(floats[start : start + layer.size], transposed))
        start += layer.size
        if layer.norm and not (values[-1][-1] >= 0).all():
            raise ValueError(
                f"{path}: not this network's weights: in {layer.place} expected {layer.size:,} floats with variances "
                f"of at least 0, found a negative one or NaN {totals}"
            )
    if whole and found > expected:
        last = weighted[-1].place if weighted else "the header"
        raise ValueError(f"{path}: continues after {last}: expected 0 floats, found {found - expected:,.12g} {totals}")
    for layer, value in zip(weighted, values, strict=True):
        layer.assign(*value)


def count_floats(path):
    """Return the number of floats after a file's header, not a whole number if the file is damaged."""
    with open(path, "rb") as file:
        _read_header(path, file)
        return _count(file)


def _count(file):
    return (os.fstat(file.fileno()).st_size - file.tell()) / 4


def _read_header(path, file):
    """Read past the header; return whether the file is an old one, with transposed connected layers."""
    check_is_weights(path)
    header = file.read(12)
    if len(header) < 12:
        raise ValueError(f"{path}: not a Darknet .weights file: {len(header)} bytes are too short for its header")
    major, minor, _ = struct.unpack("<3i", header)
    transposed = major >= 1000 or minor >= 1000
    # The count of images seen in training: 64 bits from version 0.2 on.
    seen = 8 if not transposed and 10 * major + minor >= 2 else 4
    if len(file.read(seen)) < seen:
        raise ValueError(f"{path}: not a Darknet .weights file: it ends in its header")
    return transposed
