"""A log for TensorBoard, which is not needed to write it."""

import tensorflow as tf


class Board:
    """A log of scalars and images by epoch.

    Args:
        folder: the log's folder, made with the first row; a resumed run adds to it.
    """

    def __init__(self, folder):
        self.folder, self._writer = folder, None

    def write(self, row, images=()):
        """Add a row of results.csv, and images as (caption, uint8 RGB (h, w, 3))."""
        self._writer = self._writer or tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default(row["epoch"]):
            for name, value in row.items():
                if name != "epoch":
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=_metadata("scalars"))
            for i, (caption, image) in enumerate(images, 1):
                height, width = image.shape[:2]
                encoded = [str(width), str(height), tf.io.encode_png(image).numpy()]
                tf.summary.write(f"images/{i}", tf.constant(encoded), metadata=_metadata("images", caption))
        self._writer.flush()


def _metadata(plugin, description=""):
    metadata = tf.compat.v1.SummaryMetadata(summary_description=description)
    metadata.plugin_data.plugin_name = plugin
    return metadata
