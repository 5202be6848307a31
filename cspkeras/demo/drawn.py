"""The demo that needs no data: scenes of real handwriting are drawn."""

import dataclasses
import json
from functools import partial

from ..training.data.examples import DetectionData, Example
from ..training.recipes.recipe import Recipe
from . import digits, networks
from .case import SEED, Case, Work

COMMAND = "cspkeras demo"
SIZE = 128
CLASSES = tuple("0123456789")
TRAIN, VAL, HELD_OUT = 1500, 64, 200  # scenes
# A mirrored digit is not a digit, and scenes are drawn at many scales already.
AUGMENT = {"mosaic": 0.0, "flip": 0.0}
TRAINING = Recipe(epochs=10, learning_rate=4e-3, warmup_epochs=1, seed=SEED, augment=AUGMENT)
QUANTIZATION = Recipe(epochs=2, learning_rate=4e-4, warmup_epochs=0, seed=SEED + 1, augment=AUGMENT)


def drawn_case():
    """Return the demo of drawn digits."""
    constants = dict(size=SIZE, classes=CLASSES, seed=SEED, scenes=(TRAIN, VAL, HELD_OUT))
    parts = dict(spec=networks.SPEC, training=TRAINING, quantization=QUANTIZATION)
    parts = {name: dataclasses.asdict(part) for name, part in parts.items()}
    return Case(COMMAND, _prepare, json.loads(json.dumps({**constants, **parts})))


def _prepare(plan, say):
    say("drawing scenes of handwritten digits")
    train, val = _data(TRAIN, SEED, "train"), _data(VAL, SEED + 1, "train")
    return Work(
        name=networks.NAMES[networks.DETECTOR],
        train=train,
        val=val,
        held_out=_data(HELD_OUT, SEED, "test"),  # of handwriting that is in neither of the two
        build=partial(networks.build_network, train, SIZE),
        training=TRAINING,
        quantization=QUANTIZATION,
        calibration=0,
        summary="A small CSPPeleeNet with the Exact Fusion Model learns to find handwritten digits, is quantized with "
        "quantization-aware training, converted to TFLite, and run on LiteRT's CPU and GPU delegate. All figures are "
        f"of {HELD_OUT} held-out scenes with handwriting that the network has never seen.",
        notes=(
            f"{TRAIN} scenes of {SIZE}x{SIZE} pixels.",
            "Handwriting: the digits of scikit-learn's load_digits.",
        ),
    )


def _data(count, seed, split):
    scenes = digits.scenes(count, size=SIZE, seed=seed, split=split)
    return DetectionData([Example(*scene) for scene in scenes], CLASSES)
