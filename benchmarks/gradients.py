"""Duplicated gradient information, measured: a dense block beside a partial dense block, while they learn.

    pip install -e '.[training,demo]'
    python benchmarks/gradients.py --output docs/measured/gradients.json

Small networks learn scikit-learn's handwritten digits: a 3x3 convolution, one stage, its transition, the classifier.
The stage has the same six dense layers everywhere; what enters it has 32 channels, which

    dense           all run through the layers
    dense, divided  do so too, after the two dividing 1x1 convolutions of a CSP stage: a control
    csp             are divided: 16 cross the stage, 16 run through the layers (the paper's partial dense block)
    fusion_first, fusion_last  likewise, without one of the two transitions

Before training and after each epoch, on the same 128 digits, it measures the gradients that reach those 32 channels and
the layers.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

LAYERS, GROWTH, BOTTLENECK, CHANNELS = 6, 8, 16, 32
KINDS = "dense", "dense, divided", "csp", "fusion_first", "fusion_last"
EPOCHS, BATCH, RATE, PROBED = 3, 64, 1e-3, 128


def build(kind):
    """Build the network of one of `KINDS`."""
    import keras
    from keras import layers

    from cspkeras.backbones.densenet import dense_layer
    from cspkeras.blocks import conv_bn_act
    from cspkeras.cross_stage import cross_stage, divide

    def dense_layers(x):
        for i in range(1, LAYERS + 1):
            x = dense_layer(x, GROWTH, BOTTLENECK, activation="leaky_relu", name=f"layer{i}")
        return x

    image = layers.Input((8, 8, 1))
    x = conv_bn_act(image, CHANNELS, 3, name="stem")
    if kind.startswith("dense"):
        if kind != "dense":
            x = layers.Concatenate()(divide(x, (CHANNELS // 2,) * 2, name="stage"))
        x = dense_layers(x)
        x = conv_bn_act(x, x.shape[-1], name="transition")
    else:
        x = cross_stage(x, dense_layers, fusion=kind, name="stage")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x))


def measured(model, kind, images, labels):
    """Measure the figures of one moment: {name: value}."""
    from cspkeras.analysis.gradients import correlation, effective_rank, gradients_at

    entering = ["stem_act"] if kind == "dense" else ["stage_part1_act", "stage_part2_act"]
    names = [f"layer{i}_conv2_act" for i in range(1, LAYERS + 1)]
    found = gradients_at(model, [*entering, *names], images, labels)
    whole = np.concatenate([found[name] for name in entering], axis=1)
    part1, part2 = np.split(whole, 2, axis=1)
    layers = np.concatenate([found[name] for name in names], axis=1)
    return {
        "entering": correlation(whole),
        "between the halves": correlation(part1, part2),
        "within a half": (correlation(part1) + correlation(part2)) / 2,
        "rank of entering": effective_rank(whole),
        "layers": correlation(layers),
        "rank of layers": effective_rank(layers),
    }


def run(kind, seed):
    """Train one network; return {"accuracy": on the digits it learns from, "epochs": a dict of figures per epoch}."""
    import keras
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.images[..., None] / 16).astype("float32"), digits.target
    keras.utils.set_random_seed(seed)
    probed = np.random.default_rng(seed).choice(len(images), PROBED, replace=False)
    model = build(kind)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(RATE), loss, metrics=["accuracy"])
    epochs, accuracy = [measured(model, kind, images[probed], labels[probed])], None
    for _ in range(EPOCHS):
        accuracy = model.fit(images, labels, batch_size=BATCH, verbose=0).history["accuracy"][-1]
        epochs.append(measured(model, kind, images[probed], labels[probed]))
    return {"accuracy": accuracy, "epochs": epochs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds [%(default)s]")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args()
    from cspkeras.files import write_json

    results = {}
    for kind in KINDS:
        results[kind] = [run(kind, seed) for seed in range(args.seeds)]
        print(f"{kind}: {json.dumps(results[kind][-1]['epochs'][-1])}", flush=True)
    write_json(args.output, results)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
