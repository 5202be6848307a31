"""Mixed precision: networks under another policy than they were made for."""

import json
import re
from contextlib import contextmanager

import keras

PLAIN = "float32"
POLICY = re.compile(r'("class_name": "DTypePolicy", "config": {"name": ")(?:mixed_\w+|b?float\d+)')


@contextmanager
def policy(name):
    """What is built in this block computes in a precision: "float32", "mixed_float16" or "mixed_bfloat16"."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def rebuilt(model, precision=PLAIN):
    """The same Keras 3 model with weights of its own, equal ones, under another policy."""
    config = POLICY.sub(rf"\g<1>{precision}", json.dumps(model.get_config()))
    with policy(precision):
        made = type(model).from_config(json.loads(config))
    made.set_weights(model.get_weights())
    return made


def plain(model):
    """A Keras 3 model that computes in float32: itself, or the same one `rebuilt`."""
    return model if all(layer.compute_dtype == PLAIN for layer in model.layers) else rebuilt(model)
