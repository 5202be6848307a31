"""What the tests of the device's detector share."""

import cell_detector
import pytest


@pytest.fixture
def model(tmp_path_factory):
    """`cell_detector.write` to a file of its own."""
    return lambda *args, **changes: cell_detector.write(
        tmp_path_factory.mktemp("model") / "cells.tflite", *args, **changes
    )
