"""The log for TensorBoard."""

import pytest
import tensorflow as tf
from tiny_classifier import fit_tiny


@pytest.mark.integration
def test_tensorboard(tmp_path):
    fit_tiny(tmp_path, tensorboard=True, epochs=2)
    (log,) = (tmp_path / "tensorboard").iterdir()
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(log))]
    found = {(value.tag, event.step): value for event in events for value in event.summary.value}
    for tag in ("loss", "val_top1", "learning_rate", "images_per_second"):
        for step in (1, 2):
            assert found[tag, step].metadata.plugin_data.plugin_name == "scalars"
    shown = found["images/1", 2]
    assert shown.metadata.plugin_data.plugin_name == "images"
    width, height, png = tf.make_ndarray(shown.tensor)
    assert (width, height) == (b"8", b"8") and tf.io.decode_png(png).shape == (8, 8, 3)
