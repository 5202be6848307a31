"""Detection with any function from images to raw heads."""

import keras
import numpy as np

from .boxes import corners, decode_boxes, decode_scores, flatten_heads
from .images import CHANNELS, letterbox, to_image, to_rgb
from .suppression import suppress


def detect(
    predict,
    anchors,
    images,
    score_threshold=0.25,
    iou_threshold=0.5,
    batch_size=16,
    suppression="greedy",
    class_agnostic=False,
):
    """Detect as `Detector.detect` does, with any function from a batch of images in 0..1 to raw heads."""
    shape = getattr(images, "shape", ())
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS):
        raise ValueError(f"images must be a sequence of images, [image] for one. Received: an array of shape {shape}")
    found = []
    for start in range(0, len(images), batch_size):
        batch = [to_rgb(image) for image in images[start : start + batch_size]]
        boxed, placements = zip(*(letterbox(image, anchors.size) for image in batch), strict=True)
        heads = predict(np.stack(boxed).astype("float32") / 255)
        raw_boxes, raw_scores = flatten_heads(heads, anchors)
        boxes = corners(decode_boxes(raw_boxes, anchors.grid()))
        scores = decode_scores(raw_scores, anchors.objectness)
        options = dict(method=suppression, class_agnostic=class_agnostic)
        out = suppress(boxes, scores, score_threshold, iou_threshold, **options)
        to_pixels = np.float32([*anchors.size[::-1]] * 2)
        for image, placement, box, label, score, kept in zip(
            batch, placements, *map(keras.ops.convert_to_numpy, out), strict=True
        ):
            box = to_image(box * to_pixels, placement, image.shape)
            kept = kept & (box[:, 2:] > box[:, :2]).all(axis=1)
            found.append({"boxes": box[kept], "labels": label[kept], "scores": score[kept]})
    return found
