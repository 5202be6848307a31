"""int8 files of keras.applications' networks: by this library, and by TensorFlow's own calibration alone.

    python benchmarks/keras_applications.py [--only NAME ...] [--side 96] [--json docs/keras_applications.json]

Untrained networks, made lively: random norms with the statistics of the images, so that signals neither die nor grow.
Both files are calibrated on the same twelve images and compared with Keras' floats on them. The table has

    noise       of the logits, root mean square, over their standard deviation (of a softmax it would say nothing)
    floats      operations that compute in floats
    seconds     to convert, calibration included; the ratio counts

Each network is measured in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FAMILIES = {  # one network of each: the range of its images
    "ConvNeXtTiny": (0, 255),
    "DenseNet121": (-2, 2),
    "EfficientNetB0": (0, 255),
    "EfficientNetV2B0": (0, 255),
    "InceptionResNetV2": (-1, 1),
    "InceptionV3": (-1, 1),
    "MobileNet": (-1, 1),
    "MobileNetV2": (-1, 1),
    "MobileNetV3Small": (0, 255),
    "MobileNetV3Large": (0, 255),
    "NASNetMobile": (-1, 1),
    "ResNet50": (-2, 2),
    "ResNet50V2": (-1, 1),
    "VGG16": (-2, 2),
    "VGG19": (-2, 2),
    "Xception": (-1, 1),
}
IMAGES, CLASSES = 12, 100


def built(name, side):
    """Return the network, made lively, and its images."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    options = dict(weights=None, input_shape=(side, side, 3), classes=CLASSES, classifier_activation=None)
    model = getattr(keras.applications, name)(**options)
    low, high = FAMILIES[name]
    small = rng.uniform(low, high, (IMAGES, side // 4, side // 4, 3)).astype("float32")
    images = keras.ops.convert_to_numpy(keras.ops.image.resize(small, (side, side)))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    for weight in model.weights:
        part = weight.path.rsplit("/")[-1]
        if part == "gamma":
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif part in ("beta", "bias"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    model(images, training=True)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before
    return model, images


def by_converter(model, images):
    """Return the bytes of TensorFlow's own int8 file."""
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *images.shape[1:]), tf.float32, "image")]
    function = tf.function(lambda x: model(x, training=False), input_signature=signature, autograph=False)
    module = tf.Module()
    module.function = function
    module.variables_read = function.get_concrete_function().variables
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=function)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        return converter.convert()


def measure(name, side):
    """Return a row of the table."""
    import numpy as np

    from cspkeras.tflite import convert
    from cspkeras.tflite.runtime import litert

    model, images = built(name, side)
    exact = model.predict(images, verbose=0)
    row = {"network": name}
    with tempfile.TemporaryDirectory() as folder:
        for who in ("ours", "alone"):
            path, start = Path(folder, f"{who}.tflite"), time.perf_counter()
            if who == "ours":
                convert(model, path, "int8", [images])
            else:
                path.write_bytes(by_converter(model, images))
            seconds = time.perf_counter() - start
            run = litert.run_cpu(path, images)
            (found,) = run.outputs.values()
            inside, end = run.graph.float_operations()
            row[who] = {
                "noise": float(np.sqrt(np.mean((found[:, 0] - exact) ** 2)) / exact.std()),
                "megabytes": path.stat().st_size / 1e6,
                "floats": len(inside) + len(end),
                "seconds": seconds,
            }
    return row


def table(rows):
    """Return the rows as text."""
    lines = [
        f"{'network':20}{'noise':>8}{'alone':>8}{'MB':>8}{'alone':>8}{'floats':>8}{'alone':>8}{'s':>8}{'alone':>8}"
    ]
    for row in rows:
        ours, alone = row["ours"], row["alone"]
        cells = [f"{one['noise']:8.4f}" for one in (ours, alone)] + [
            f"{one['megabytes']:8.1f}" for one in (ours, alone)
        ]
        cells += [f"{one['floats']:8}" for one in (ours, alone)] + [f"{one['seconds']:8.1f}" for one in (ours, alone)]
        lines.append(f"{row['network']:20}" + "".join(cells))
    return "\n".join(lines)


def main():
    """Measure each network in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--side", type=int, default=96, help="of the images, in pixels [%(default)s]")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.side)))
        return
    rows = []
    for name in options.only:
        command = [sys.executable, __file__, "--one", name, "--side", str(options.side)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
        rows.append(json.loads(answer))
        print(table(rows) if len(rows) == 1 else table(rows).splitlines()[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
