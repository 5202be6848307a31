"""Load PeleeNet's weights as its authors published them: a checkpoint of PyTorch's, .pth or .pth.tar."""

from itertools import product

from .timm import HEAD, assign, timm_tensors
from .torch_file import read_state

CLASSIFIER = "classifier"  # what timm calls HEAD
STEM = {"conv1": "stem1", "conv2": "stem2a", "conv3": "stem2b", "conv4": "stem3"}
STAGES, BLOCKS = range(1, 5), range(1, 9)  # at most
BRANCHES = {
    "near_conv1": "branch1a",
    "near_conv2": "branch1b",
    "far_conv1": "branch2a",
    "far_conv2": "branch2b",
    "far_conv3": "branch2c",
}
# The authors' module by our layer. Their numbers count from 1, as ours do.
MODULES = {f"stem_{ours}": f"features.stemblock.{theirs}" for ours, theirs in STEM.items()}
MODULES |= {f"stage{i}_transition": f"features.transition{i}" for i in STAGES}
MODULES |= {
    f"stage{i}_block{k}_{ours}": f"features.denseblock{i}.denselayer{k}.{theirs}"
    for i, k, (ours, theirs) in product(STAGES, BLOCKS, BRANCHES.items())
}


def load_peleenet(path, model, *, whole=True):
    """Load a checkpoint into a PeleeNet in its layout; no layer is touched unless all of the file fits.

    Unless `whole`, the file's classifier is ignored. A ValueError names the tensor that doesn't fit.
    """
    expected = {
        name.replace(".bn.", ".norm.").replace(f"{HEAD}.", f"{CLASSIFIER}."): parts
        for name, parts in timm_tensors(model, MODULES).items()
    }
    found = read_state(path, "state_dict")
    shapes = {name: array.shape for name, array in found.items() if whole or not name.startswith(f"{CLASSIFIER}.")}
    assign(path, model.name, expected, shapes, found.__getitem__)
