"""Files of several inputs of each kind, and a file of integers from one end to the other."""

import numpy as np
import pytest
from several_inputs import KERNEL, TABLE, WEIGHTS, inputs


@pytest.fixture(scope="package")
def several(tmp_path_factory):
    """A folder with such networks: float32.tflite; int8.tflite, integers at its ends; gpu.tflite, no indices."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec((1, 8, 8, 1), tf.float32, name="picture"),
        tf.TensorSpec((1, 5), tf.float32, name="vector"),
        tf.TensorSpec((1, 3), tf.int32, name="ids"),
    ]

    class Several(tf.Module):
        def _sum(self, picture, vector):
            seen = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(picture, KERNEL, 1, "SAME")), (1, 2))
            return seen + tf.matmul(vector, WEIGHTS)

        @tf.function(input_signature=specs)
        def whole(self, picture, vector, ids):
            known = tf.reduce_mean(tf.gather(TABLE, ids), 1)
            return {"sum": self._sum(picture, vector) + known, "largest": tf.argmax(vector, 1)}

        @tf.function(input_signature=specs[:2])
        def gpu(self, picture, vector):
            return {"sum": self._sum(picture, vector), "doubled": 2 * vector}

    def samples():
        for seed in range(8):
            yield inputs(1, seed)

    folder, module = tmp_path_factory.mktemp("several"), Several()
    for name in ("float32", "int8", "gpu"):
        serve = module.gpu if name == "gpu" else module.whole
        tf.saved_model.save(module, str(folder / name), signatures=serve)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / name))
        if name == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = samples
            converter.inference_input_type = converter.inference_output_type = tf.int8
        (folder / f"{name}.tflite").write_bytes(converter.convert())
    return folder


@pytest.fixture(scope="package")
def integers(tmp_path_factory):
    """A file of int8 from one end to the other: two convolutions, a mean, a dense layer."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(8, 3, 2, activation="relu"), keras.layers.DepthwiseConv2D(3, activation="relu")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers])
    path = tmp_path_factory.mktemp("integers") / "integers.tflite"
    images = np.random.default_rng(0).random((8, 1, 16, 16, 3), "float32")
    model.export(
        str(path),
        format="litert",
        verbose=False,
        input_signature=[keras.InputSpec(shape=(1, 16, 16, 3), dtype="float32", name="image")],
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([image] for image in images),
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    return path
