"""Box arithmetic in `keras.ops`: from raw heads to boxes and scores.

Unless a name says otherwise, boxes are (..., 4) "cyxhw": centre y, centre x, height and width, each in parts of the
network's input. Exported files return them in this order.
"""

from keras import ops

EXP_LIMIT = 8.0  # the products of exp(more) overflow 16-bit floats


def flatten_heads(heads, classes):
    """Flatten raw head maps (N, H, W, A * (5 + classes)), finest first, Darknet's order of channels.

    Return raw boxes (N, P, 4) and scores (N, P, 1 + classes).
    """
    flat = [ops.reshape(h, (-1, h.shape[1] * h.shape[2] * (h.shape[3] // (5 + classes)), 5 + classes)) for h in heads]
    flat = ops.concatenate(flat, axis=1)
    return flat[..., :4], flat[..., 4:]


def decode_boxes(raw, grid):
    """Decode raw x, y, w, h (N, P, 4) on a `Grid` by YOLOv3's equations with YOLOv4's scale_x_y, or by YOLOX's."""
    # Additions and products with constants alone: mobile GPUs run them, and no number leaves the 16-bit range.
    factor, shift = grid.cells * grid.scales, grid.origins - grid.cells * (grid.scales - 1) / 2
    xy = raw[..., 0:2] if grid.linear else ops.sigmoid(raw[..., 0:2])
    xy = xy * factor[None] + shift[None]
    wh = ops.exp(ops.minimum(raw[..., 2:4], EXP_LIMIT)) * grid.sizes[None]
    return ops.concatenate([xy[..., 1:2], xy[..., 0:1], wh[..., 1:2], wh[..., 0:1]], axis=-1)


def decode_scores(raw):
    """Decode raw objectness and classes (N, P, 1 + C) to their product, scores (N, P, C) in 0..1."""
    return ops.sigmoid(raw[..., 0:1]) * ops.sigmoid(raw[..., 1:])


def corners(boxes):
    """Convert cyxhw to (x1, y1, x2, y2)."""
    cy, cx, h, w = (boxes[..., i] for i in range(4))
    return ops.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=-1)


def from_corners(boxes):
    """Convert (x1, y1, x2, y2) to cyxhw."""
    x1, y1, x2, y2 = (boxes[..., i] for i in range(4))
    return ops.stack([(y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1], axis=-1)
