"""Load YOLOX's published .pth files: Megvii's names of the layers, and batch-norms as they were trained."""

from keras import layers

from .timm import assign, timm_tensors
from .torch_file import read_state
from .yolox_parts import FOCUS, classes_error, focused, kernel_error

EPSILON = 1e-3  # of YOLOX's batch-norms
STEM = "backbone.backbone.stem.conv"
LEVELS = {"p3": 0, "p4": 1, "p5": 2}
CSP = {"part2": "conv1", "part1": "conv2", "transition": "conv3", r"block(\d+)_conv1": "m.{}.conv1"}
NECK = {"neck_p4_down": "C3_p4", "neck_p3": "C3_p3", "neck_p4": "C3_n3", "neck_p5": "C3_n4"}  # CSP layers
STAGES = {f"stage{i}": f"backbone.backbone.dark{i + 1}" for i in range(1, 5)}


def modules(depthwise):
    """Return {pattern of our layer: Megvii's module}; the module's "{}" is the number of a bottleneck, from 0 there."""
    csp = {stage: f"{module}.{2 if stage == 'stage4' else 1}" for stage, module in STAGES.items()}
    csp |= {ours: f"backbone.{theirs}" for ours, theirs in NECK.items()}
    dense = {
        "stem_conv": STEM,
        "stage4_spp_conv1": f"{STAGES['stage4']}.1.conv1",
        "stage4_spp_conv2": f"{STAGES['stage4']}.1.conv2",
        "neck_p5_narrow": "backbone.lateral_conv0",
        "neck_p4_narrow": "backbone.reduce_conv1",
        **{f"{ours}_{part}": f"{module}.{theirs}" for ours, module in csp.items() for part, theirs in CSP.items()},
    }
    square = {  # convolutions of 3x3 pixels
        "neck_p3_strided": "backbone.bu_conv2",
        "neck_p4_strided": "backbone.bu_conv1",
        **{f"{stage}_downsample": f"{module}.0" for stage, module in STAGES.items()},
        **{rf"{ours}_block(\d+)_conv2": f"{module}.m.{{}}.conv2" for ours, module in csp.items()},
    }
    for level, i in LEVELS.items():
        dense |= {f"head_{level}_stem": f"head.stems.{i}"}
        for ours, theirs in (("classes", "cls"), ("boxes", "reg"), ("objectness", "obj")):
            dense |= {f"head_{level}_{ours}": f"head.{theirs}_preds.{i}"}
            square |= {f"head_{level}_{ours}_conv{k + 1}": f"head.{theirs}_convs.{i}.{k}" for k in range(2)}
    if not depthwise:
        return dense | square
    first = {f"{ours}_depthwise": f"{module}.dconv" for ours, module in square.items()}
    return dense | first | {ours: f"{module}.pconv" for ours, module in square.items()}


def load_checkpoint(model, path, skip_mismatch=False):
    """Load a .pth file into a `Detector` of YOLOX's; see `weights.yolox.load_yolox`."""
    depthwise = any(isinstance(layer, layers.DepthwiseConv2D) for layer in model.layers)
    expected, found = timm_tensors(model, modules(depthwise)), read_state(path, "model")
    _convert_stem(path, model, found)
    classes = len(model.class_names)
    for level, i in LEVELS.items():
        names = [f"head.cls_preds.{i}.{part}" for part in ("weight", "bias")]
        other = {len(found[name]) for name in names if name in found and found[name].ndim} - {classes}
        if other and not skip_mismatch:
            raise classes_error(path, f"head_{level}_classes", classes, other.pop())
        if other:
            for name in names:
                del expected[name], found[name]
    assign(path, model.name, expected, {name: array.shape for name, array in found.items()}, found.__getitem__)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.epsilon = EPSILON


def _convert_stem(path, model, found):
    """Convert the first kernel to one for the image, in PyTorch's order of axes."""
    name, filters = f"{STEM}.conv.weight", model.get_layer("stem_conv").filters
    if name in found:
        shape = filters, FOCUS, 3, 3
        if found[name].shape != shape:
            raise kernel_error(path, name, shape, found[name].shape, model.name)
        found[name] = focused(found[name]).transpose(3, 2, 0, 1)
