"""Mixed precision: build networks, and rebuild them, under another dtype policy."""

import json
import re
from contextlib import contextmanager

import keras

from .graph import deep

PLAIN = "float32"
POLICY = re.compile(r'("class_name": "DTypePolicy", "config": {"name": ")(?:mixed_\w+|b?float\d+)')


@contextmanager
def policy(name):
    """Set the dtype policy of what the block builds: "float32", "mixed_float16" or "mixed_bfloat16"."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def rebuilt(model, precision=PLAIN):
    """Return a copy of a Keras 3 model, its weights included, under another policy."""
    config = POLICY.sub(rf"\g<1>{precision}", json.dumps(model.get_config()))
    with policy(precision), deep():
        made = type(model).from_config(json.loads(config))
    made.set_weights(model.get_weights())
    return made


def plain(model):
    """Return a Keras 3 model if it computes in float32, else its copy that does."""
    return model if all(layer.compute_dtype == PLAIN for layer in model.layers) else rebuilt(model)
