"""What the two kinds of files of YOLOX's have in common: the first kernel, and other classes."""

import numpy as np

FOCUS = 12  # channels of the four pixels of each 2x2, side by side


def focused(kernel):
    """Convert the kernel after YOLOX's Focus, for BGR in 0..255, to one for the image itself, RGB in 0..1.

    The kernel is (filters, 12, 3, 3); Focus has the pixels of each 2x2 in the order left upper, left lower, right
    upper, right lower. The result is (6, 6, 3, filters), for strides of 2 and a padding of 2.
    """
    filters, _, height, width = kernel.shape
    parts = kernel.reshape(filters, 2, 2, 3, height, width)  # filter, right or left, lower or upper, colour, y, x
    image = parts.transpose(4, 2, 5, 1, 3, 0).reshape(2 * height, 2 * width, 3, filters)
    return image[:, :, ::-1] * np.float32(255)


def kernel_error(path, name, expected, found, model):
    """Return the error of a kernel of another shape; shapes in PyTorch's order."""
    return ValueError(f"{path}: {name}: expected a kernel {expected}, found {found}; it is not {model}")


def classes_error(path, name, expected, found):
    """Return the error of another number of classes."""
    return ValueError(
        f"{path}: {name}: expected {expected} classes, found {found}; skip_mismatch=True leaves the class predictions "
        "as initialized"
    )
