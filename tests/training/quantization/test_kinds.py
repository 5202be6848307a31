"""Every layer class, operation and activation that quantization knows, each on a map of a model of many outputs."""

import every_layer
import keras
import numpy as np
import pytest
from every_layer import IMAGES, model_of, noise
from keras import layers

from cspkeras.training.quantization import activations, kinds
from cspkeras.training.quantization.activations import ACTIVATIONS, activation_of
from cspkeras.training.quantization.aware import calibrate, quantize_aware
from cspkeras.training.quantization.deployed import deployed
from cspkeras.training.quantization.flattening import flattened
from cspkeras.training.quantization.kinds import KINDS

TABLES = {name: getattr(every_layer, name) for name in ("known", "others", "floating", "activations")}
ROWS = [(table, row) for table, make in TABLES.items() for row in make()]
NOISE = 0.04  # of 8 bits; a mistake in a layer makes it tenths


@pytest.fixture(scope="module")
def answers():
    """A function: by names of outputs, a table's answers as they are, flattened, quantized, and as in the file."""
    made = {}

    def get(table):
        if table not in made:
            model = model_of(TABLES[table])
            quantized = calibrate(quantize_aware(model), [IMAGES])
            functions = model, flattened(model), quantized, lambda x: deployed(quantized)([x])
            made[table] = [{k: keras.ops.convert_to_numpy(v) for k, v in f(IMAGES).items()} for f in functions]
        return made[table]

    return get


@pytest.mark.integration
@pytest.mark.parametrize(("table", "row"), ROWS, ids=[row for _, row in ROWS])
def test_a_call_is_flattened_exactly_quantized_and_deployed(answers, table, row):
    for name in (name for name in answers(table)[0] if name in (row, f"{row}_1")):
        exact, flat, quantized, in_the_file = (those[name] for those in answers(table))
        assert np.abs(flat - exact).max() <= 1e-5 * max(1, np.abs(exact).max())
        assert 0 < noise(quantized, exact) < NOISE
        assert noise(in_the_file, quantized) < NOISE / 2


def operations(table):
    return model_of(TABLES[table]).operations


def test_every_kind_has_a_row_in_the_table():
    wanted = {cls for cls, kind in KINDS.items() if not kind.training_only}
    assert wanted == {type(operation) for operation in operations("known")} & set(KINDS)
    found = {type(operation).__name__ for table in ("known", "others") for operation in operations(table)}
    assert set(kinds.OPERATIONS) - {"BroadcastTo"} <= found, "broadcasting takes no open batch size"


def test_every_activation_has_a_row_in_the_table():
    layers_ = [o for o in operations("activations") if not getattr(o, "weights", None)]
    assert {activation_of(o)[0] for o in layers_} == set(ACTIVATIONS)
    found = {type(operation).__name__ for operation in layers_}
    assert set(activations.OPERATIONS) <= found


class Pooling(layers.MaxPooling2D):
    pass


class Own(layers.Conv2D):
    pass


class Tripled(layers.Dropout):
    def call(self, x, training=None):
        return x * 3.0


class Gate(layers.Layer):
    activation = staticmethod(keras.activations.silu)

    def call(self, x):
        return self.activation(x) * 2.0


def test_what_inherits_from_a_layer_without_weights_is_of_its_kind_and_else_plain():
    x = layers.Input((8, 8, 2))
    model = keras.Model(x, Own(2, 1, name="own")(Pooling(2, name="pool")(x)))
    pool, own = model.get_layer("pool"), model.get_layer("own")
    assert kinds.kind_of(pool) is KINDS[layers.MaxPooling2D]
    assert kinds.kind_of(own) is kinds.PLAIN
    names = [layer.name for layer in quantize_aware(model).layers]
    assert "pool_range" not in names and "own_range" in names


def test_a_users_own_code_is_not_taken_for_that_of_keras():
    x = layers.Input((8, 8, 2))
    tripled, gate = Tripled(0.5), Gate()
    keras.Model(x, gate(tripled(x)))
    assert kinds.kind_of(tripled) is kinds.PLAIN and activation_of(gate)[0] == "linear"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_kernel_of_channels_first_is_not_known(data_format):
    x = layers.Input((8, 8, 8))
    layer = layers.Conv2D(2, 1, data_format=data_format)
    layer(x)
    assert bool(kinds.kind_of(layer).kernel) == (data_format == "channels_last")
