"""OpenMMLab's checkpoints of RTMDet, as its model zoo publishes them and mmdetection writes them."""

import re

import numpy as np

from ...backbones import cspnext
from ...backbones.assembly import Preparation
from ...weights.timm import assign, timm_tensors
from ...weights.torch_file import read_state

STEM = "backbone.stem.0.conv.weight"
CLASSES = "bbox_head.rtm_cls.0.weight"
# In a checkpoint they are of BGR in 0..255.
NORMALIZED = {"data_preprocessor.mean": Preparation.mean, "data_preprocessor.std": Preparation.deviation}
# mmdetection's module by a pattern of the layers' names; those of the backbone are nearly timm's.
NECK = {
    "neck_p5_narrow": "neck.reduce_layers.0",
    "neck_p4_narrow": "neck.reduce_layers.1",
    "neck_p3_strided": "neck.downsamples.0",
    "neck_p4_strided": "neck.downsamples.1",
}
NECK_LAYERS = {
    "neck_p4_down": "neck.top_down_blocks.0",
    "neck_p3": "neck.top_down_blocks.1",
    "neck_p4": "neck.bottom_up_blocks.0",
    "neck_p5": "neck.bottom_up_blocks.1",
}
BRANCHES = {"classes": "cls", "boxes": "reg"}
MODULES = cspnext.MODULES | NECK
for _ours, _theirs in NECK_LAYERS.items():
    MODULES |= {f"{_ours}_{part}": f"{_theirs}.{module}" for part, module in cspnext.CSP_LAYER.items()}
for _ours, _theirs in BRANCHES.items():
    MODULES[rf"head_{_ours}_conv(\d)"] = f"bbox_head.{_theirs}_convs.0.{{}}"
    for _level in range(3):
        _head = f"head_p{3 + _level}_{_ours}"
        MODULES[f"neck_p{3 + _level}_out"] = f"neck.out_convs.{_level}"
        MODULES[rf"{_head}_conv(\d)"] = f"bbox_head.{_theirs}_convs.{_level}.{{}}"
        MODULES[_head] = f"bbox_head.rtm_{_theirs}.{_level}"


def read_openmmlab(path):
    """Read the weights in a checkpoint of RTMDet, {mmdetection's name: array}, each shared one once.

    A ValueError says why a file is not such a checkpoint.
    """
    state = read_state(path, "state_dict")
    for name in (STEM, CLASSES):
        if name not in state or state[name].ndim != 4:
            raise ValueError(
                f"{path}: holds no kernel {name}, as RTMDet's have; it begins with {next(iter(state), 'nothing')}"
            )
    _check_preprocessing(path, state)
    return {name: value for name, value in state.items() if name not in NORMALIZED and not _is_copy(path, name, state)}


def load_openmmlab(model, path, state, skip_mismatch=False):
    """Load what `read_openmmlab` gave into an RTMDet; no layer is touched unless all of it fits.

    With `skip_mismatch` it may be of another number of classes; the class predictions stay as they are then. A
    ValueError names the tensor that doesn't fit.
    """
    own, found, expected = len(model.class_names), len(state[CLASSES]), openmmlab_tensors(model)
    state = {**state, STEM: state[STEM][:, ::-1]}  # mmdetection's takes BGR
    if own != found:
        if not skip_mismatch:
            raise ValueError(
                f"{path}: {CLASSES}: expected {own} classes, found {found}; skip_mismatch=True leaves the class "
                "predictions as initialized"
            )
        state, expected = (
            {name: value for name, value in tensors.items() if not name.startswith("bbox_head.rtm_cls.")}
            for tensors in (state, expected)
        )
    assign(path, model.name, expected, {name: value.shape for name, value in state.items()}, state.__getitem__)


def openmmlab_tensors(model):
    """Return {mmdetection's name: its parts} of an RTMDet, the shared kernels by level 0's; see `timm_tensors`."""
    return {_openmmlab_name(name): parts for name, parts in timm_tensors(model, MODULES).items()}


def _openmmlab_name(tensor):
    """Return mmdetection's name of a backbone's tensor by timm's, and any other name as it is."""
    tensor = re.sub(r"^stages\.(\d)", lambda found: f"backbone.stage{int(found[1]) + 1}", tensor)
    return re.sub(r"^stem\.", "backbone.stem.", tensor)


def _check_preprocessing(path, state):
    for name, expected in NORMALIZED.items():
        wanted = 255 * np.float32(expected[::-1])
        if name in state and not np.allclose(np.ravel(state[name]), wanted, rtol=1e-4):
            found = ", ".join(f"{x:g}" for x in np.ravel(state[name])[:3])
            raise ValueError(f"{path}: {name}: expected {', '.join(f'{x:g}' for x in wanted)} of BGR, found {found}")


def _is_copy(path, name, state):
    """Whether a tensor is a copy of the first level's, of a convolution that the head's levels share."""
    first = re.sub(r"^(bbox_head\.(?:cls|reg)_convs)\.\d+\.(\d+\.conv\.weight)$", r"\1.0.\2", name)
    if first != name and not np.array_equal(state[name], state.get(first)):
        raise ValueError(f"{path}: {name}: expected a copy of {first}, which the levels share, found other numbers")
    return first != name
