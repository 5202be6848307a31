"""int8 files of every layer, operation and activation: they arrive, answer as the floats do, and hold no floats."""

import logging

import every_layer
import numpy as np
import pytest
from every_layer import IMAGES, MAP, chain, model_of, noise
from keras import layers, ops

from cspkeras.tflite import check, convert
from cspkeras.tflite.export.saved_model import to_flatbuffer
from cspkeras.tflite.export.serving import serving
from cspkeras.tflite.runtime import litert
from cspkeras.training import calibrate, quantize_aware

pytestmark = pytest.mark.integration

WHOLE = {name: getattr(every_layer, name) for name in ("known", "others", "activations")}
NOISE = 0.04
JOINED = "raw_head"  # a file has its two parts apart, as they have two ranges


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A function: a table's model, the answers of its int8 file by name, and those of the quantized model."""
    made, folder = {}, tmp_path_factory.mktemp("tables")

    def get(table):
        if table not in made:
            model = model_of(WHOLE[table])
            quantized = calibrate(quantize_aware(model), [IMAGES])
            run = litert.run_cpu(convert(quantized, folder / f"{table}.tflite", "int8", strict=True), IMAGES)
            made[table] = model(IMAGES), {name: x[:, 0] for name, x in run.outputs.items()}, quantized(IMAGES)
        return made[table]

    return get


@pytest.mark.parametrize("table", WHOLE)
def test_a_file_of_a_table_has_no_floats_and_answers_as_the_model(converted, table):
    exact, found, quantized = converted(table)
    assert set(found) == set(exact)
    noises = {name: noise(found[name], exact[name]) for name in exact}
    assert {name: value for name, value in noises.items() if not 0 < value < NOISE} == {}
    steps = {name: 255 * np.sqrt(np.mean((found[name] - quantized[name]) ** 2)) / np.ptp(exact[name]) for name in exact}
    assert {name: float(value) for name, value in steps.items() if value > 0.7 and name != JOINED} == {}, (
        "they are more than a step apart"
    )


@pytest.fixture(scope="module")
def floating():
    return model_of(every_layer.floating)


def test_what_stays_in_floats_is_told_and_all_else_has_integers(floating, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "cspkeras"):
        path = convert(floating, tmp_path / "floats.tflite", "int8", [IMAGES])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("table: layers that stay in floats, as TFLite or this library has no int8 form of them: ")
    told = sorted(part.split(" ")[1] for part in line.split(": ")[-1].split(", "))
    stay = {type(y._keras_history.operation).__name__ for y in floating.outputs}
    stay = stay - {"MultiHeadAttention"} | {"DotProductAttention"}  # of one with a mask, the dense parts have integers
    assert told == sorted([*(f"({name})" for name in stay), "(Activation)"])
    run = litert.run_cpu(path, IMAGES)
    exact = floating(IMAGES)
    assert {n: noise(run.outputs[n][:, 0], exact[n]) < NOISE for n in exact} == dict.fromkeys(exact, True)
    assert run.operations["CONV_2D"] == 1 and run.precision == "int8"
    checked = check(path, images=IMAGES, runs=1)
    assert not [fault for fault in checked.faults if fault.startswith("floats")], "what was said is not a fault"
    assert len(checked.floats.said) == len(told)


def test_rare_activations_arrive_too(tmp_path):
    model = model_of(every_layer.rare)
    run = litert.run_cpu(convert(model, tmp_path / "rare.tflite", "int8", [IMAGES]), IMAGES)
    exact = model(IMAGES)
    assert len(exact) >= 8
    noises = {name: noise(run.outputs[name][:, 0], exact[name]) for name in exact}
    assert {n: value for n, value in noises.items() if not 0 < value < 0.2} == {}, "some of them jump"


def test_strict_makes_it_an_error_and_leaves_no_file(floating, tmp_path):
    with pytest.raises(ValueError, match=r"stay in floats.*\(Lambda\).*replace them, or leave strict out"):
        convert(floating, tmp_path / "x.tflite", "int8", [IMAGES], strict=True)
    assert list(tmp_path.iterdir()) == []


def u_net(x):
    """Two levels of a U-Net that goes up by transposed convolutions."""

    def block(x, filters):
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x)))
        return x

    first = block(x, 8)
    second = block(layers.MaxPooling2D()(first), 16)
    up = layers.Conv2DTranspose(8, 2, strides=2, activation="relu")(second)
    return layers.Conv2D(3, 1)(block(layers.Concatenate()([first, up]), 8))


def preactivated(x):
    """Two blocks of a ResNet-V2: norms before convolutions."""
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y)))
        x = layers.Add()([x, layers.Conv2D(MAP[-1], 3, padding="same")(y)])
    return layers.ReLU()(layers.BatchNormalization()(x))


def between(activation):
    """Convolutions with an activation between."""
    convolutions = [layers.Conv2D(16, 3, padding="same") for _ in range(3)]
    return lambda x: chain(*(step for c in convolutions for step in (c, layers.Activation(activation))))(x)


def compared():
    return {
        "celu": between("celu"),
        "selu": between("selu"),
        "log_sigmoid": between("log_sigmoid"),
        "elu": between("elu"),
        "mish": between("mish"),
        "u_net": u_net,
        "preactivated": preactivated,
        "upsampling": lambda x: layers.Conv2D(4, 3)(
            layers.UpSampling2D((2, 3))(layers.Conv2D(8, 3, activation="relu")(x))
        ),
        "weighted": lambda x: layers.Dense(5)(ops.mean(every_layer.Weighted()(layers.Conv2D(8, 3)(x)), (1, 2))),
    }


def test_no_answer_is_noisier_than_by_tensorflows_own_calibration(tmp_path):
    model = model_of(compared)
    ours = litert.run_cpu(convert(model, tmp_path / "ours.tflite", "int8", [IMAGES], strict=True), IMAGES)
    path = tmp_path / "theirs.tflite"
    path.write_bytes(to_flatbuffer(serving(model), model.name, "int8", calibration=[[IMAGES]]))
    theirs, exact = litert.run_cpu(path, IMAGES), model(IMAGES)
    noises = {n: [noise(run.outputs[n][:, 0], exact[n]) for run in (ours, theirs)] for n in exact}
    assert {n: each for n, each in noises.items() if each[0] > 1.1 * each[1] + 0.002} == {}


def test_no_activation_has_a_step_that_cpus_compute_value_by_value(tmp_path):
    names = "mish", "softplus", "log_sigmoid", "elu", "celu", "selu"
    model = model_of(lambda: {name: between(name) for name in names})
    run = litert.run_cpu(convert(model, tmp_path / "stepped.tflite", "int8", [IMAGES], strict=True), IMAGES)
    assert run.operations["LOGISTIC"] == 9 and run.operations["EXP"] == 9
    assert not {"ABS", "RELU"} & set(run.operations)
