"""keras.applications in int8: as near to the floats as TensorFlow's own calibration."""

import json
from pathlib import Path

import keras_applications
import pytest

MEASURED = Path(__file__).parents[3] / "docs/measured"
NOISE, IN_FLOATS = 1.1, {"ConvNeXtTiny"}  # its layer norms lose more in integers


def check(row):
    ours, alone = row["ours"], row["alone"]
    assert 0 < ours["noise"] <= NOISE * alone["noise"] < 0.3, row
    assert ours["floats"] <= alone["floats"] or row["network"] in IN_FLOATS, row


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small"])
def test_a_network_is_as_near_to_its_floats(name):
    check(keras_applications.measure(name, side=64, seed=0))


def test_the_rows_of_the_docs():
    rows = json.loads((MEASURED / "keras_applications.json").read_text())
    assert [row["network"] for row in rows] == list(keras_applications.FAMILIES)
    for row in rows:
        check(row)
