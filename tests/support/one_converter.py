"""Let the converter's process wait longer than a user's: its start takes twice as long as a small conversion."""

import wrapt  # which TensorFlow needs as well


@wrapt.when_imported("cspkeras.tflite.export.tensorflow_process")
def _wait(process):
    process.MODELS, process.PATIENCE = 40, 600
