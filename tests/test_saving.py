"""Networks in .keras files."""

import json
import zipfile

import keras
import numpy as np
import pytest
from small_networks import small_detector

from cspkeras import layers
from cspkeras.saving import exporter, load_model, load_network

pytestmark = pytest.mark.integration

FORMERLY = {  # the modules that older files name
    "BatchNormalization": "cspkeras.batch_norm",
    "ChannelSlice": "cspkeras.routing",
    "GroupedConv2D": "cspkeras.grouped",
    "Maxout": "cspkeras.blocks",
    "Shortcut": "cspkeras.routing",
    "Upsample": "cspkeras.blocks",
}


def every_layer():
    image = keras.Input((8, 8, 4))
    x = layers.GroupedConv2D(8, 3, strides=2, padding="same", groups=2)(image)
    x = layers.Shortcut(2)([layers.BatchNormalization()(x), image])
    return keras.Model(image, layers.Upsample()(layers.Maxout(2)(layers.ChannelSlice(0, 4)(x))))


def move(value):
    """Put the former module into each entry of a config; return the classes moved."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    moved = set().union(*map(move, inner))
    if isinstance(value, dict) and value.get("module") == "cspkeras.layers":
        value["module"] = FORMERLY[value["class_name"]]
        moved.add(value["class_name"])
    return moved


@pytest.mark.parametrize(("build", "moved"), [(every_layer, set(FORMERLY)), (small_detector, {"BatchNormalization"})])
def test_a_file_loads_that_names_the_former_modules_of_the_layers(build, moved, tmp_path):
    model = build()
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        config = json.loads(new.read("config.json"))
        assert move(config) == moved
        for part in new.namelist():
            old.writestr(part, json.dumps(config) if part == "config.json" else new.read(part))
    loaded = load_model(tmp_path / "old.keras", "a network")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    x = np.random.default_rng(0).random((1, *model.input_shape[1:]), "float32")
    for found, expected in zip(*map(keras.tree.flatten, (loaded(x), model(x))), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("outputs", "names", "fits"), [(2, 2, True), (1, 1, True), (1, 2, True), (1, 3, False)])
def test_the_names_of_the_classes_fit_the_scores_or_are_two_for_one(outputs, names, fits, tmp_path):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(outputs)(keras.layers.Flatten()(image)))
    path = tmp_path / "classifier.keras"
    exporter(model, "abc"[:names])(path)
    if fits:
        assert load_network(path).class_names == tuple("abc"[:names])
    else:
        with pytest.raises(ValueError, match="classifier.keras: has 3 names for 1 classes"):
            load_network(path)
