"""A detector of red, green and blue that needs no training, since it averages cells; as .tflite files."""

import tempfile
from functools import lru_cache

import numpy as np

from cspkeras.tflite.export import metadata

HEIGHT, WIDTH, CELL = 64, 96, 16
LABELS = ["red", "green", "blue"]
RED, GREEN = (255, 0, 0), (0, 255, 0)


def settings(**changes):
    network_input = {"height": HEIGHT, "width": WIDTH, "colors": "RGB", "mean": 0.0, "scale": 1 / 255}
    network_input.update(resize="letterbox", fill=114)
    network_input.update({key: changes.pop(key) for key in list(changes) if key in network_input})
    thresholds = {"score_threshold": 0.5, "iou_threshold": 0.5}
    about = {"task": "detection", "model": "Cells", "precision": "float32", "boxes": "cyxhw"}
    return {**about, "input": network_input, **thresholds, **changes}


def cells():
    """Return a box per cell, then a smaller one within each: (48, 4) centre y, centre x, height, width in 0..1."""
    y, x = np.mgrid[CELL / 2 : HEIGHT : CELL, CELL / 2 : WIDTH : CELL].reshape(2, -1)
    boxes = [np.stack([y, x, np.full_like(y, side), np.full_like(x, side)], axis=1) for side in (16, 12)]
    return (np.concatenate(boxes) / [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(np.float32)


@lru_cache
def networks():
    """Convert the detector to the bytes of two .tflite files without settings: float32, and int8 in and out."""
    import tensorflow as tf

    class Cells(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, HEIGHT, WIDTH, 3), tf.float32, name="image")])
        def serve(self, image):
            colors = tf.reshape(tf.nn.avg_pool2d(image, CELL, CELL, "VALID"), (1, -1, 3))
            scores = tf.concat([colors, 0.9 * colors], axis=1)
            # Always the cells, but not as a constant, which would not be an output of the network.
            return {"boxes": tf.minimum(cells()[None], 2 + tf.reduce_mean(scores)), "scores": scores}

    def samples():
        for value in (0, 1):
            yield [np.full((1, HEIGHT, WIDTH, 3), value, np.float32)]

    module = Cells()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.serve)
        plain = tf.lite.TFLiteConverter.from_saved_model(folder)
        quantized = tf.lite.TFLiteConverter.from_saved_model(folder)
        quantized.optimizations = [tf.lite.Optimize.DEFAULT]
        quantized.representative_dataset = samples
        quantized.inference_input_type = quantized.inference_output_type = tf.int8
        return {"float32": plain.convert(), "int8": quantized.convert()}


def write(path, precision="float32", labels=LABELS, **changes):
    """Write the .tflite file of a precision with changed settings; return its path."""
    path.write_bytes(metadata.attach(networks()[precision], settings(**changes), labels))
    return path


def drawn_image(width, height, box=(0, 0, 0, 0), color=RED):
    """Draw a rectangle on a black image: uint8 (height, width, 3)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = color
    return image
