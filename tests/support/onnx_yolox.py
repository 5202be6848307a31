"""YOLOX as Megvii exports it: an ONNX graph with random weights, written from the paper and the published file."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and initializers under meaningless names, in the order of their creation."""

    def __init__(self, seed):
        self.rng, self.nodes, self.tensors = np.random.default_rng(seed), [], []

    def constant(self, value):
        self.tensors.append(numpy_helper.from_array(np.asarray(value), f"t{len(self.tensors)}"))
        return self.tensors[-1].name

    def node(self, kind, *inputs, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [f"n{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def conv(self, x, channels, filters, kernel=1, stride=1, groups=1):
        weights = self.rng.normal(size=(filters, channels // groups, kernel, kernel)) * (2 * groups / channels) ** 0.5
        bias = self.rng.normal(size=filters) * 0.2
        weights /= kernel if x != "n4" else 255 * kernel  # n4: the image after Focus
        names = [self.constant(value.astype("float32")) for value in (weights, bias)]
        options = dict(kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups)
        return self.node("Conv", x, *names, **options)

    def silu(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))


def write_yolox(path, width, depth, depthwise, classes, size):
    """Write the graph of BGR images (1, 3, size, size) in 0..255 to (1, P, 5 + classes), boxes raw, scores not."""
    g = Graph(seed=5)

    def base(x, c, f, k=1, s=1, groups=1):
        return g.silu(g.conv(x, c, f, k, s, groups))

    def conv(x, c, f, s=1):
        return base(base(x, c, c, 3, s, c), c, f) if depthwise else base(x, c, f, 3, s)

    def cat(*maps):
        return g.node("Concat", *maps, axis=1)

    def csp(x, c, f, n, shortcut):
        half = f // 2
        a, b = base(x, c, half), base(x, c, half)
        for _ in range(n):
            y = conv(base(a, half, half), half, half)
            a = g.node("Add", y, a) if shortcut else y
        return base(cat(a, b), f, f)

    def up(x):
        scales = g.constant(np.float32([1, 1, 2, 2]))
        nearest = dict(mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
        return g.node("Resize", x, g.constant(np.float32([])), scales, **nearest)

    def pixels(row, column):
        ends, axes, steps = (np.array(v) for v in ([2**31] * 2, [2, 3], [2, 2]))
        return g.node("Slice", "images", *map(g.constant, (np.array([row, column]), ends, axes, steps)))

    x = base(cat(pixels(0, 0), pixels(1, 0), pixels(0, 1), pixels(1, 1)), 12, width, 3)
    maps = []
    for stage, n in enumerate((depth, 3 * depth, 3 * depth, depth), 1):
        f = width * 2**stage
        x = conv(x, f // 2, f, 2)
        if stage == 4:
            x = base(x, f, f // 2)
            pools = [g.node("MaxPool", x, kernel_shape=[k] * 2, pads=[k // 2] * 4, strides=[1, 1]) for k in (5, 9, 13)]
            x = base(cat(x, *pools), 2 * f, f)
        x = csp(x, f, f, n, stage != 4)
        maps.append(x)
    c3, c4, c5 = maps[1:]
    w3, w4, w5 = 4 * width, 8 * width, 16 * width
    n5 = base(c5, w5, w4)
    down = csp(cat(up(n5), c4), 2 * w4, w4, depth, False)
    n4 = base(down, w4, w3)
    p3 = csp(cat(up(n4), c3), 2 * w3, w3, depth, False)
    p4 = csp(cat(conv(p3, w3, w3, 2), n4), 2 * w3, w4, depth, False)
    p5 = csp(cat(conv(p4, w4, w4, 2), n5), 2 * w4, w5, depth, False)
    outputs = []
    for x, c in ((p3, w3), (p4, w4), (p5, w5)):
        f = 4 * width
        x = base(x, c, f)
        a = g.conv(conv(conv(x, f, f), f, f), f, classes)
        b = conv(conv(x, f, f), f, f)
        box, objectness = g.conv(b, f, 4), g.conv(b, f, 1)
        x = cat(box, g.node("Sigmoid", objectness), g.node("Sigmoid", a))
        outputs.append(g.node("Reshape", x, g.constant(np.array([1, 5 + classes, -1]))))
    result = g.node("Transpose", g.node("Concat", *outputs, axis=2), perm=[0, 2, 1])
    graph = helper.make_graph(
        g.nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
        g.tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)
    return path
