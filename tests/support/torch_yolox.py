"""YOLOX's checkpoints: Megvii's names, in the order in which its code runs the convolutions."""

import numpy as np

EPSILON = 1e-3


def megvii_names(depth, depthwise):
    """Return the modules' names, those of the predictions, which have no norm, with a "!" before them."""

    def conv(name):
        return [f"{name}.dconv", f"{name}.pconv"] if depthwise else [name]

    def csp(name, blocks):
        inner = [[f"{name}.m.{i}.conv1", *conv(f"{name}.m.{i}.conv2")] for i in range(blocks)]
        return [f"{name}.conv1", f"{name}.conv2", *sum(inner, []), f"{name}.conv3"]

    body, neck, head = "backbone.backbone", "backbone", []
    names = [f"{body}.stem.conv"]
    for i, blocks in zip((2, 3, 4), (depth, 3 * depth, 3 * depth), strict=True):
        names += [*conv(f"{body}.dark{i}.0"), *csp(f"{body}.dark{i}.1", blocks)]
    names += [*conv(f"{body}.dark5.0"), f"{body}.dark5.1.conv1", f"{body}.dark5.1.conv2"]
    names += csp(f"{body}.dark5.2", depth)
    names += [f"{neck}.lateral_conv0", *csp(f"{neck}.C3_p4", depth), f"{neck}.reduce_conv1"]
    names += [*csp(f"{neck}.C3_p3", depth), *conv(f"{neck}.bu_conv2"), *csp(f"{neck}.C3_n3", depth)]
    names += [*conv(f"{neck}.bu_conv1"), *csp(f"{neck}.C3_n4", depth)]
    for i in range(3):
        head += [f"head.stems.{i}", *conv(f"head.cls_convs.{i}.0"), *conv(f"head.cls_convs.{i}.1")]
        head += [f"!head.cls_preds.{i}", *conv(f"head.reg_convs.{i}.0"), *conv(f"head.reg_convs.{i}.1")]
        head += [f"!head.reg_preds.{i}", f"!head.obj_preds.{i}"]
    return names + head


def checkpoint(convolutions, depth, depthwise):
    """Return Megvii's state dict of (kernel, bias) of a .onnx file in order, each divided into convolution and norm."""
    rng, state = np.random.default_rng(3), {}
    for name, (kernel, bias) in zip(megvii_names(depth, depthwise), convolutions, strict=True):
        if name.startswith("!"):
            state |= {f"{name[1:]}.weight": kernel, f"{name[1:]}.bias": bias}
            continue
        gamma, mean = rng.uniform(0.5, 1.5, len(bias)), rng.normal(size=len(bias))
        variance = rng.uniform(1e-4, 0.01, len(bias))  # so small that the epsilon tells
        scale = gamma / np.sqrt(variance + EPSILON)
        norm = dict(weight=gamma, bias=bias + mean * scale, running_mean=mean, running_var=variance)
        state[f"{name}.conv.weight"] = kernel / scale[:, None, None, None]
        state |= {f"{name}.bn.{part}": value for part, value in norm.items()}
        state[f"{name}.bn.num_batches_tracked"] = np.array([7])
    return {name: value if value.dtype == np.int64 else np.asarray(value, "float32") for name, value in state.items()}
