"""Scaled YOLOv4 and YOLOv7-tiny, narrow and shallow: they answer as Darknet does with their cfgs, train and export."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy_darknet import save
from scaled_cfgs import CLASSES, scaled_yolov4, yolov7_tiny

from cspkeras import from_darknet
from cspkeras.backbones import darknet, elan
from cspkeras.detection.models import assembly, scaled_yolo

SIDE, WIDTHS = 64, (8, 8, 16, 16, 32)
ROWS = {  # by a network: its narrow backbone, and its cfg; YOLOv4P5 is YOLOv4P6 without its last stage
    "YOLOv4CSP": (
        dict(blocks=(1, 2, 1, 1, 1), widths=WIDTHS, first_parts=0),
        partial(scaled_yolov4, plain_first=True, each=2, heads_last=False, anchors=3),
    ),
    "YOLOv4P6": (
        dict(blocks=(1, 1, 1, 1, 1, 1), widths=(*WIDTHS, 32), first_parts=1),
        partial(scaled_yolov4, plain_first=False, each=3, heads_last=True, anchors=4),
    ),
    "YOLOv7Tiny": (None, yolov7_tiny),
}


def narrow(name, weights=None, size=SIDE, **options):
    """One of the networks, narrow and shallow, and with few classes."""
    row, spec = ROWS[name][0], scaled_yolo.VARIANTS[name]
    if row:
        backbone = partial(darknet.build, darknet.DarknetSpec(cross_stage=True, stem=8, **row))
    else:
        backbone = partial(elan.build, 8)
    activation = "mish" if row else "leaky_relu"
    options = dict(classes=CLASSES, input_shape=(size, size, 3), activation=activation, name=name.lower(), **options)
    return assembly.build(replace(spec, backbone=backbone), weights=weights, skip_mismatch=False, **options)


def cfg_of(name):
    row, cfg = ROWS[name]
    return cfg(row["blocks"], row["widths"]) if row else cfg(stem=8)


@pytest.mark.integration
@pytest.mark.parametrize("name", ROWS)
def test_a_network_answers_as_darknet_does_with_its_cfg(tmp_path, name):
    network = cfg_of(name)
    cfg, weights, image, outputs = save(tmp_path, network, SIDE, SIDE)
    heads = [i - 1 for i, (section, _) in enumerate(network) if section == "yolo"]
    model = narrow(name, weights)
    assert model.anchors.coding == "scaled" and len(heads) == len(model.anchors.levels)
    found, same = model(image, training=False), from_darknet(cfg, weights)(image, training=False)
    for head, other, expected in zip(found, same, [outputs[index] for index in heads], strict=True):
        assert head.shape == expected.shape
        assert np.abs(head - expected).max() < 1e-4 * np.abs(expected).max() > np.abs(head - other).max()
