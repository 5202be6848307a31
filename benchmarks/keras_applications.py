"""int8 files of keras.applications' networks: by this library, and by TensorFlow's own calibration alone.

    python benchmarks/keras_applications.py --json docs/measured/keras_applications.json

Untrained networks, made lively: norms of random scales with the statistics of the images (untrained.py), so that
signals neither die nor grow. Both files are calibrated on the same twelve images and compared with Keras' floats on
them. The table has

    noise       of the logits, root mean square, over their standard deviation (of a softmax it would say nothing)
    floats      operations that compute in floats
    seconds     to convert, calibration included, after a tiny model that starts what both run in; the ratio counts

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


def built(name, side, seed):
    """Return the network, made lively, and its images."""
    import keras
    import numpy as np
    from untrained import calibrate_norms

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    options = dict(weights=None, input_shape=(side, side, 3), classes=CLASSES, classifier_activation=None)
    model = getattr(keras.applications, name)(**options)
    low, high = FAMILIES[name]
    small = rng.uniform(low, high, (IMAGES, side // 4, side // 4, 3)).astype("float32")
    images = keras.ops.convert_to_numpy(keras.ops.image.resize(small, (side, side)))
    for weight in model.weights:
        if weight.path.endswith("gamma"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith("bias"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return calibrate_norms(model, images), images


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


def ours(model, images):
    """Return the bytes of this library's int8 file."""
    from cspkeras.tflite import convert

    with tempfile.TemporaryDirectory() as folder:
        return convert(model, Path(folder, "x.tflite"), "int8", [images]).read_bytes()


def measure(name, side, seed):
    """Return a row of the table."""
    import keras
    import numpy as np

    from cspkeras.tflite.runtime import litert

    tiny = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    model, images = built(name, side, seed)
    exact = model.predict(images, verbose=0)
    row = {"network": name, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        for who, make in ("ours", ours), ("alone", by_converter):
            make(tiny, images[:, :8, :8])
            path, start = Path(folder, f"{who}.tflite"), time.perf_counter()
            path.write_bytes(make(model, images))
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
    parser.add_argument("--seed", type=int, default=0, help="of weights and images [%(default)s]")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.side, options.seed)))
        return
    rows = []
    for name in options.only:
        command = [sys.executable, __file__, "--one", name, "--side", str(options.side), "--seed", str(options.seed)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
        rows.append(json.loads(answer))
        print(table(rows) if len(rows) == 1 else table(rows).splitlines()[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
