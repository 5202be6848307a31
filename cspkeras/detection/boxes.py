"""Box arithmetic in `keras.ops`: from raw heads to boxes and scores.

Unless a name says otherwise, boxes are (..., 4) "cyxhw": centre y, centre x, height and width, each in parts of the
network's input. Exported files return them in this order.
"""

from keras import ops

from .codings import CODINGS

EXP_LIMIT = 8.0  # the products of exp(more) overflow 16-bit floats


FUNCTIONS = {  # of raw numbers, by the names in `CODINGS`
    "linear": lambda x: x,
    "sigmoid": ops.sigmoid,
    "exp": lambda x: ops.exp(ops.minimum(x, EXP_LIMIT)),
    "square": lambda x: ops.square(2 * ops.sigmoid(x)),
}


def flatten_heads(heads, anchors):
    """Flatten raw head maps (N, H, W, A * depth), finest first, Darknet's order of channels: box, objectness, classes.

    Return raw boxes (N, P, 4) and scores (N, P, 1 + classes); of `anchors` without objectness (N, P, classes).
    """
    flat = []
    for head, boxes in zip(heads, anchors.boxes, strict=True):
        _, height, width, channels = head.shape
        flat.append(ops.reshape(head, (-1, height * width * len(boxes), channels // len(boxes))))
    flat = ops.concatenate(flat, axis=1)
    return flat[..., :4], flat[..., 4:]


def decode_boxes(raw, grid):
    """Decode the four raw numbers (N, P, 4) of each prediction on a `Grid`, as its coding says."""
    # Additions and products with constants alone: mobile GPUs run them, and no number leaves the 16-bit range.
    coding = CODINGS[grid.coding]
    first, last = FUNCTIONS[coding.first](raw[..., 0:2]), FUNCTIONS[coding.last](raw[..., 2:4])
    if coding.distances:
        xy = (last - first) * (grid.cells / 2)[None] + grid.origins[None]
        wh = (last + first) * grid.cells[None]
    else:
        shift = grid.origins - grid.cells * (grid.scales - 1) / 2
        xy, wh = first * (grid.cells * grid.scales)[None] + shift[None], last * grid.sizes[None]
    return ops.concatenate([xy[..., 1:2], xy[..., 0:1], wh[..., 1:2], wh[..., 0:1]], axis=-1)


def decode_scores(raw, objectness=True):
    """Decode raw scores to scores (N, P, C) in 0..1: (N, P, 1 + C), objectness and classes, to their product.

    Without `objectness` they are the classes alone, (N, P, C).
    """
    return ops.sigmoid(raw[..., 0:1]) * ops.sigmoid(raw[..., 1:]) if objectness else ops.sigmoid(raw)


def corners(boxes):
    """Convert cyxhw to (x1, y1, x2, y2)."""
    cy, cx, h, w = (boxes[..., i] for i in range(4))
    return ops.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=-1)


def from_corners(boxes):
    """Convert (x1, y1, x2, y2) to cyxhw."""
    x1, y1, x2, y2 = (boxes[..., i] for i in range(4))
    return ops.stack([(y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1], axis=-1)
