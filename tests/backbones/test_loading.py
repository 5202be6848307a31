"""Weights that Keras saved, into a backbone: what fits, what doesn't, and another classifier."""

import keras
import numpy as np
import pytest
from small_networks import build_kind, classifier

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "missing; expected a .keras, .weights.h5 or Darknet .weights file"),
        (b"no model", "holds no weights for this peleenet"),
    ],
)
def test_weights_that_cannot_be_read_are_an_error_naming_the_file(content, error, ending, tmp_path):
    path = tmp_path / f"file{ending}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileNotFoundError if content is None else ValueError) as caught:
        build_kind("pelee", include_top=False, weights=path)
    assert str(caught.value).startswith(f"{path}: {error}") and "\n" not in str(caught.value)


MISFITS = {
    "classes": (dict(classes=8), r"predictions.*\(56, 8\).*\(56, 7\)"),
    "channels": (dict(classes=7, input_shape=(64, 64, 4)), r"stem_conv1.*\(3, 3, 4, 8\).*\(3, 3, 3, 8\)"),
}


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("misfit", MISFITS)
def test_weights_of_other_shapes_are_an_error_naming_the_layer(tmp_path, ending, misfit):
    path = tmp_path / f"seven{ending}"
    (classifier("pelee").save if ending == ".keras" else classifier("pelee").save_weights)(path)
    options, message = MISFITS[misfit]
    with pytest.raises(ValueError, match=rf"seven{ending}: holds no weights for this peleenet .*{message}") as caught:
        build_kind("pelee", weights=path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_another_classifier_can_be_skipped_and_nothing_else(tmp_path, ending):
    path = tmp_path / f"seven{ending}"
    source = classifier("darknet csp")
    (source.save if ending == ".keras" else source.save_weights)(path)
    keras.utils.set_random_seed(5)
    fresh = build_kind("darknet csp", classes=8)
    keras.utils.set_random_seed(5)
    model = build_kind("darknet csp", classes=8, weights=path, skip_mismatch=True)
    for found, expected in zip(model.get_weights(), source.get_weights()[:-2] + fresh.get_weights()[-2:], strict=True):
        np.testing.assert_array_equal(found, expected)
    whole = build_kind("darknet csp", classes=7, weights=path, skip_mismatch=True)
    np.testing.assert_array_equal(whole.get_weights()[-2], source.get_weights()[-2])
    with pytest.raises(ValueError, match="holds no weights for this"):
        build_kind("resnet basic", classes=8, weights=path, skip_mismatch=True)
