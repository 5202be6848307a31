"""Files that were saved instead of weights are named, in one line, whatever reads them."""

import re

import keras
import pytest
from numpy_darknet import CLASSIFIER, save

import cspkeras
from cspkeras.weights.impostors import check_is_weights, impostor

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:9278\nsize 510868180\n"
FILES = {
    "a git-lfs pointer": POINTER,
    "a web page": b"\n<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>",
    "a web page: open": b"\xef\xbb\xbf<HTML>404 Not Found</HTML>",
    "JSON": b'{"error": "rate limit"}',
    "an archive": b"PK\x03\x04" + bytes(40),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_was_saved_instead_is_named(tmp_path, kind):
    cfg, weights, *_ = save(tmp_path, CLASSIFIER)
    assert impostor(weights) is None
    weights.write_bytes(FILES[kind])
    with pytest.raises(ValueError, match=rf"^.*net.weights: not weights, but {kind}.*$") as error:
        cspkeras.from_darknet(cfg, weights)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".weights", ".weights.h5", ".keras"])
def test_every_reader_of_a_backbone_looks(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(POINTER)
    with pytest.raises(ValueError, match=re.escape(f"{path}: not weights, but a git-lfs pointer")):
        cspkeras.CSPDarknet53Tiny(input_shape=(32, 32, 3), weights=path)


def test_keras_files_are_archives(tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "net.keras")
    check_is_weights(tmp_path / "net.keras")
