"""Darknet's .weights files: a header, and behind it the floats of one layer after the other without any names."""

import os
import struct
from dataclasses import dataclass

import numpy as np
from keras import layers


@dataclass(frozen=True)
class WeightedLayer:
    """What holds the floats of one layer of a cfg.

    Attributes:
        index: number of the layer, from 0.
        place: what errors call the layer.
        convolution: a built Conv2D, DepthwiseConv2D or Dense (which is a 1x1 convolution); a connected layer is a
            convolution as large as its input.
        norm: the built BatchNormalization behind it, or None.
        connected: whether it is a connected layer, which has an order of its own.
    """

    index: int
    place: str
    convolution: layers.Layer
    norm: layers.BatchNormalization | None = None
    connected: bool = False

    @property
    def kernel_shape(self):
        """(filters, channels a filter sees, height, width), as in the file."""
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
        """The floats of this layer as (kernel, bias, scale, mean, variance), the last three None without batch-norm."""
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
        """Set the weights to what `split` gives."""
        # (filters, channels, height, width) to Keras' order; a depthwise kernel has its filters in the channels' place.
        kernel = kernel.transpose(2, 3, 1, 0).reshape(self.convolution.kernel.shape)
        if self.norm:
            self.convolution.set_weights([kernel])
            self.norm.set_weights([scale, bias, mean, variance])
        else:
            self.convolution.set_weights([kernel, bias])


def load_weights_file(path, weighted, *, whole=True):
    """Load a .weights file; no layer is touched unless all of the file fits.

    Args:
        path: the file.
        weighted: the `WeightedLayer`s whose floats it holds, in the cfg's order.
        whole: whether the file must end behind them.

    Raises:
        OSError: where the file can't be read.
        ValueError: naming the layer at which the file goes wrong: where it ends too early or goes on too long, or where
            a variance is below zero, as in the weights of another network.
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
                f"from 0 on, found one below or not a number {totals}"
            )
    if whole and found > expected:
        last = weighted[-1].place if weighted else "the header"
        raise ValueError(f"{path}: goes on behind {last}: expected 0 floats, found {found - expected:,.12g} {totals}")
    for layer, value in zip(weighted, values, strict=True):
        layer.assign(*value)


def count_floats(path):
    """The number of floats behind a file's header; no whole number where the file is damaged."""
    with open(path, "rb") as file:
        _read_header(path, file)
        return _count(file)


def _count(file):
    return (os.fstat(file.fileno()).st_size - file.tell()) / 4


def _read_header(path, file):
    """Read past the header; whether the file is one of the old ones that hold connected layers transposed."""
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
