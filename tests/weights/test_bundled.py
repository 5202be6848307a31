"""The weights that come with the package."""

import numpy as np
import pytest
from bundle_weights import bundle

import cspkeras
from cspkeras.saving import load_detector
from cspkeras.weights.bundled import load_bundled
from cspkeras.weights.published.rows import PUBLISHED


@pytest.fixture(scope="module")
def bccd():
    return cspkeras.YOLOXNano(weights="bccd")


@pytest.mark.integration
def test_they_bring_their_classes_and_size(bccd):
    assert bccd.class_names == PUBLISHED["YOLOXNano"]["bccd"].classes == ("Platelets", "RBC", "WBC")
    assert bccd.input_shape == (None, 320, 320, 3)


@pytest.mark.integration
def test_they_are_found_by_name_where_a_file_is_asked_for(bccd):
    for ours, theirs in zip(load_detector("bccd").get_weights(), bccd.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.integration
def test_other_classes_keep_all_but_the_class_predictions(bccd):
    with pytest.raises(ValueError, match="bccd.npz: has other classes. Received: 2 classes; skip_mismatch=True"):
        load_bundled(cspkeras.YOLOXNano(2, (64, 64, 3)), PUBLISHED["YOLOXNano"]["bccd"].bundled)
    model = cspkeras.YOLOXNano(2, (64, 64, 3), weights="bccd")
    new = {v.path for v, w in zip(model.variables, bccd.variables, strict=True) if not np.array_equal(v, w)}
    assert {path.split("/")[0] for path in new} == {f"head_{level}_classes" for level in ("p3", "p4", "p5")}


@pytest.mark.integration
def test_another_network_is_refused():
    with pytest.raises(ValueError, match="bccd.npz: holds the weights of another detector. Received: yoloxtiny"):
        cspkeras.YOLOXTiny(3, (64, 64, 3), weights=PUBLISHED["YOLOXNano"]["bccd"].bundled)


@pytest.mark.integration
def test_halves_are_near_and_finite(tmp_path, bccd):
    bccd.save(tmp_path / "x.keras")
    bundle(tmp_path / "x.keras", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        for variable in bccd.variables:
            assert file[variable.path].dtype == "float16"
            np.testing.assert_allclose(file[variable.path], np.asarray(variable), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_they_find_the_cells_of_the_test_list(test_data, bccd):
    from cspkeras.training import evaluate, read

    measured = evaluate(bccd.detect, read(test_data / "data" / "bccd", "test", bccd.class_names))
    assert measured["mAP50"] >= 0.88 and measured["mAP"] >= 0.58
