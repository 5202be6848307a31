"""What CSP networks learn beside their bases, on CIFAR-10: accuracy, compute, training speed and int8 latency.

    pip install -e '.[all]'
    python benchmarks/learning.py --run runs/learning --output docs/measured/learning.json  # trains what is missing
    python benchmarks/learning.py --run runs/learning --output docs/measured/learning.json --measure  # the speeds

The data is `keras.datasets.cifar10`, or with --data any folder with train/CLASS/ and test/CLASS/ that `cspkeras train`
reads. Every network gets the same images, enlarged to 64x64 or as they are with --size 32, by the same recipe, in each
seed; what counts is the accuracy on the test images after the last epoch; nothing was chosen by it. Killed at any
moment, the same command resumes. The networks are those of the paper with their first stages and a fraction of their
width, so that an epoch takes a minute of one processor core. The widened ones have as much compute as their bases.
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from load import TOLERATED, Load, Patience

SIZE, CLASSES = 64, 10
LARGEST = 1.25  # an image's shorter side, of the network's input, when it is enlarged most
BATCH = 64  # images a training step
CALIBRATION = 64  # training images that calibrate int8
RUNS = 50  # of a .tflite file, whose median is a round's latency
STEPS = 10  # of training, which are a round's speed
PACKAGES = ("keras", "tensorflow", "ai-edge-litert", "numpy")


def networks(size=SIZE):
    """Return {name: function that builds it}: bases, their CSP networks, wider ones, and one with the other fusions."""
    from cspkeras.backbones import densenet, peleenet, resnet

    pelee = dict(stem=16, growth_rate=16, bottleneck=(8, 16, 32))
    dense = dict(blocks=(4, 6, 8), stem=16, growth_rate=12, bottleneck=48)
    halves = dict(stem=16, cross_stage=True, expansion=2)
    wider = pelee | dict(bottleneck=(9, 18, 36))
    rows = {
        "PeleeNet": (peleenet.build, peleenet.PeleeSpec((3, 4, 8), False, **pelee), {}),
        "CSPPeleeNet": (peleenet.build, peleenet.PeleeSpec((2, 4, 8), True, **pelee), {}),
        "DenseNet": (densenet.build, densenet.DenseNetSpec(transitions=(48, 72), **dense), {}),
        "CSPDenseNet": (densenet.build, densenet.DenseNetSpec(transitions=(48, 72), cross_stage=True, **dense), {}),
        "ResNet10": (resnet.build, resnet.ResNetSpec((1, 1, 1, 1), (16, 32, 64, 128), None, stem=16), {}),
        "CSPResNet10": (
            resnet.build,
            resnet.ResNetSpec((1, 1, 1, 1), (8, 16, 32, 64), None, **halves),
            {},
        ),
        "CSPPeleeNet, widened": (peleenet.build, peleenet.PeleeSpec((2, 4, 8), True, **wider), {}),
        "CSPResNet10, widened": (
            resnet.build,
            resnet.ResNetSpec((1, 1, 1, 1), (11, 22, 44, 88), None, **halves),
            {},
        ),
    }
    for fusion in ("fusion_first", "fusion_last"):
        rows[f"CSPPeleeNet, {fusion.replace('_', ' ')}"] = (*rows["CSPPeleeNet"][:2], {"fusion": fusion})
    shape = dict(input_shape=(size, size, 3), classes=CLASSES)
    return {name: partial(build, spec, **options, **shape) for name, (build, spec, options) in rows.items()}


def chosen_networks(parser, names, size=SIZE):
    """Return the `networks` of these names, all for None; an unknown one is the parser's error."""
    builders = networks(size)
    if unknown := set(names or ()) - set(builders):
        parser.error(f"unknown network {', '.join(unknown)}; there are {'; '.join(builders)}")
    return {name: builders[name] for name in names or builders}


def read_data(folder, limit=None):
    """Read the training images, `limit` of them evenly where given, and the test images; return both and a line."""
    from cspkeras.training import ClassificationData, LabelledImage, read

    if folder is not None:
        train, test = read(folder, "train"), read(folder, "test")
        kinds = {Path(str(example.image)).suffix for example in test.examples[:1]}
        source = f"a folder of {', '.join(kinds)} files"
    else:
        import keras

        names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
        train, test = (
            ClassificationData([LabelledImage(x, int(y)) for x, (y,) in zip(*part, strict=True)], tuple(names))
            for part in keras.datasets.cifar10.load_data()
        )
        source = "keras.datasets.cifar10"
    if limit:
        train = replace(train, examples=train.examples[:: max(1, len(train.examples) // limit)])
    return train, test, f"CIFAR-10, {len(train.examples)} training and {len(test.examples)} test images, {source}"


def rescale(size):
    """Return the pixels of an image's shorter side, least and most, for networks of that input."""
    return size, round(LARGEST * size)


def recipe_of(epochs, seed, size=SIZE):
    """Return the recipe that all networks share."""
    from cspkeras.training import Recipe

    augment = dict(rescale=rescale(size), angle=0.0, hue=0.0, saturation=1.0, exposure=1.0, aspect=1.0)
    options = dict(learning_rate=3e-3, weight_decay=0.05, warmup_epochs=0.2, evaluate_every=epochs, save_every=60)
    return Recipe(epochs=epochs, batch_size=BATCH, seed=seed, augment=augment, **options)


def train(build, data, folder, recipe):
    """Train a network, or resume its training; return {"top1", "top5", "loss"} on the test images."""
    import keras

    from cspkeras.training import fit

    keras.utils.set_random_seed(recipe.seed)
    keras.backend.clear_session()
    resume = (folder / "last.npz").exists()
    rows = fit(build(), *data, folder, recipe, resume=resume)
    return {key: rows[-1][f"val_{key}"] for key in ("top1", "top5", "loss")}


def measure(builders, data, run, seed, size, rounds, patience):
    """Measure the networks in turn; return {network: {"images_per_second", "int8_ms"}}, rounds' medians; and loads."""
    import keras
    import numpy as np

    from cspkeras.tflite import convert
    from cspkeras.tflite.runtime.litert import run_cpu
    from cspkeras.training import evaluation_batches

    images, labels = next(iter(evaluation_batches(data, (size, size), max(BATCH, CALIBRATION))))
    images, labels = np.asarray(images), np.asarray(labels)
    models, files = {}, {}
    for name, build in builders.items():
        trained = keras.saving.load_model(run / folder_name(name, seed) / "best.keras")
        files[name] = run / f"{folder_name(name, seed)}.tflite"
        convert(trained, files[name], "int8", [image[None] for image in images[:CALIBRATION]])
        models[name] = build()
        models[name].compile("adamw", "categorical_crossentropy")
        models[name].train_on_batch(images[:BATCH], labels[:BATCH])

    def once(name):
        load, start = Load(), time.perf_counter()
        for _ in range(STEPS):
            models[name].train_on_batch(images[:BATCH], labels[:BATCH])
        rate = STEPS * BATCH / (time.perf_counter() - start)
        return (rate, run_cpu(files[name], images[:1], threads=1, runs=RUNS).latency_ms), load.others()

    found, loads = {name: [] for name in builders}, []
    for _ in range(rounds):
        for name, values in found.items():
            value, load = patience.undisturbed(lambda name=name: once(name))
            values.append(value)
            loads.append(load)
    keys = "images_per_second", "int8_ms"
    medians = {name: map(statistics.median, zip(*values, strict=True)) for name, values in found.items()}
    return {name: dict(zip(keys, values, strict=True)) for name, values in medians.items()}, loads


def read_results(path, setting):
    empty = {"setting": setting, "networks": {}, "runs": {}, "measured": {}}
    return json.loads(path.read_text()) if path.exists() else empty


def folder_name(name, seed):
    return f"{name.replace(', ', '_').replace(' ', '_')}-seed{seed}"


def machine(threads):
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{platform.machine()}, {threads} thread{'s' * (threads > 1)}; Python {platform.python_version()}, {versions}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of images [keras.datasets.cifar10]")
    parser.add_argument("--run", type=Path, default=Path("runs/learning"), help="folder of the runs [%(default)s]")
    parser.add_argument("--output", type=Path, help="JSON file of the results [learning.json in the runs' folder]")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="[all]")
    parser.add_argument("--size", type=int, default=SIZE, help="side of the input in pixels [%(default)s]")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="training images, evenly of the whole set [all]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", action="store_true", help="measure the speeds of trained networks")
    parser.add_argument("--rounds", type=int, default=5, help="of the measurement")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for a quiet machine, in all")
    args = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from cspkeras.analysis import complexity
    from cspkeras.files import write_json

    chosen = chosen_networks(parser, args.networks, args.size)
    *data, source = read_data(args.data, args.limit)
    output = args.output or args.run / "learning.json"
    setting = {"data": source, "epochs": args.epochs, "size": args.size, "batch_size": BATCH}
    if (known := read_results(output, setting)["setting"]) != setting:
        parser.error(f"{output}: measured with other settings, {known}. Received: {setting}")

    def keep(part, values):
        """Add values to the file, which other processes may have changed meanwhile."""
        results = read_results(output, setting)
        for key, value in values.items():
            results[part][key] = {**results[part].get(key, {}), **value}
        write_json(output, results)

    if args.measure:
        speeds, loads = measure(
            chosen, data[0], args.run, args.seeds[0], args.size, args.rounds, Patience(args.patience)
        )
        keep("networks", speeds)
        keep("measured", {machine(args.threads): {"rounds": args.rounds, "load": max(loads)}})
        if max(loads) > TOLERATED:
            print(f"The machine was not quiet: other programs used up to {max(loads):.0%} of the cores.")
        return
    for seed in args.seeds:
        for name, build in chosen.items():
            run = folder_name(name, seed)
            if run not in read_results(output, setting)["runs"]:
                print(f"== {name}, seed {seed}", flush=True)
                cost = complexity(build())
                layer, most = cost.costliest
                costs = {"bflops": cost.bflops, "trainable": cost.trainable, "costliest": [layer, most]}
                keep("networks", {name: costs})
                figures = train(build, data, args.run / run, recipe_of(args.epochs, seed, args.size))
                keep("runs", {run: {"network": name, "seed": seed, **figures}})
            print(f"{name}, seed {seed}: top-1 {read_results(output, setting)['runs'][run]['top1']:.4f}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
