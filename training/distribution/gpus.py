"""Training on several GPUs of one machine, by TensorFlow's MirroredStrategy."""

from contextlib import contextmanager

import keras

from .workers import check_parts

KIND = "GPU"  # of TensorFlow's devices


def mirrored(count, folder, batch_size):
    """Return a context in which a network is built and trained on GPUs of this machine, on a part of each batch each.

    Batch-norms' statistics, and the number of assigned predictions that a detector's loss is divided by, are those of
    each part. The context yields the run's folder. ValueError: another backend than TensorFlow, more GPUs than there
    are, or a batch for all GPUs that can't be split evenly.
    """
    if (backend := keras.config.backend()) != "tensorflow":
        raise ValueError(f"--gpus needs the TensorFlow backend; on JAX use --workers. Received: backend {backend!r}")
    import tensorflow as tf

    devices = [device.name for device in tf.config.list_logical_devices(KIND)]
    if count > len(devices):
        raise ValueError(f"--gpus {count}: TensorFlow finds {len(devices)} here")
    if count > 1:
        check_parts(batch_size, count, "GPUs")
    return _scope(tf.distribute.MirroredStrategy(devices[:count]), folder)


@contextmanager
def _scope(strategy, folder):
    with strategy.scope():
        yield folder
