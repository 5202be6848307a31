"""The cfgs of scaled YOLOv4 and YOLOv7-tiny for `numpy_darknet`, layer by layer as published, at any width and depth.

The maps that the [yolo] layers read are linear here; in the published cfgs the logistic of them is.
"""

CLASSES = 2


class Cfg:
    """A network under construction; each function adds layers and returns the last one's number."""

    def __init__(self, activation):
        self.network, self.activation = [], activation

    def add(self, name, **options):
        self.network.append((name, options))
        return len(self.network) - 1

    def conv(self, filters, size=1, stride=1):
        options = dict(batch_normalize=1, filters=filters, size=size, stride=stride, pad=1)
        return self.add("convolutional", **options, activation=self.activation)

    def route(self, *layers):
        return self.add("route", layers=layers)

    def spp(self):
        """Pool the last map three times, each time coming back to it."""
        x = len(self.network) - 1
        pools = []
        for size in (5, 9, 13):
            pools.append(self.add("maxpool", stride=1, size=size))
            if size < 13:
                self.route(x)
        return self.route(*pools[::-1], x)

    def head(self, x, filters, anchors):
        self.route(x)
        self.conv(filters, 3)
        self.add("convolutional", filters=anchors * (5 + CLASSES), size=1, pad=1, activation="linear")
        return self.add("yolo", mask=tuple(range(anchors)), num=anchors, classes=CLASSES, new_coords=1)

    def neck(self, levels, widths, join, heads_last, anchors):
        """Go down and up again from the pooled map, the last layer; `levels` are the finer maps, coarsest first."""
        down, heads = [len(self.network) - 1], []
        for x, width in zip(levels, widths[1:], strict=True):
            self.conv(width)
            above = self.add("upsample", stride=2)
            self.route(x)
            self.route(self.conv(width), above)
            down.append(join(width))

        def finish(x, width):
            heads.append((x, 2 * width, anchors))
            if not heads_last:
                self.head(*heads[-1])
                self.route(x)

        finish(x := down.pop(), widths[-1])
        for own, width in zip(down[::-1], widths[-2::-1], strict=True):
            self.route(self.conv(width, 3, 2), own)
            finish(x := join(width), width)
        if heads_last:
            for head in heads:
                self.head(*head)
        return self.network


def scaled_yolov4(blocks, widths, *, plain_first, each, heads_last, anchors, stem=8):
    """yolov4-csp.cfg (its first stage is plain), yolov4-p5.cfg and yolov4-p6.cfg (their heads come last)."""
    cfg, stages = Cfg("mish"), []
    cfg.conv(stem, 3)
    for index, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        x, half = cfg.conv(width, 3, 2), width // 2
        if index or not plain_first:
            part1 = cfg.conv(half)
            cfg.route(x)
            cfg.conv(half)
        for _ in range(count):
            cfg.conv(half)
            cfg.conv(half if index or not plain_first else width, 3)
            cfg.add("shortcut", **{"from": -3, "activation": "linear"})
        if index or not plain_first:
            cfg.route(cfg.conv(half), part1)
            x = cfg.conv(width)
        stages.append(len(cfg.network) - 1)

    def plain(x, width, convolutions):
        part1 = cfg.conv(width)
        cfg.route(x)
        convolutions()
        cfg.route(len(cfg.network) - 1, part1)
        return cfg.conv(width)

    def join(width):
        def convolutions():
            for _ in range(each):
                cfg.conv(width)
                cfg.conv(width, 3)

        return plain(cfg.conv(width), width, convolutions)

    def pool():
        cfg.conv(half)
        cfg.conv(half, 3)
        cfg.conv(half)
        cfg.spp()
        cfg.conv(half)
        cfg.conv(half, 3)

    plain(stages[-1], half, pool)
    return cfg.neck(stages[-2:1:-1], [w // 2 for w in widths[:1:-1]], join, heads_last, anchors)


def yolov7_tiny(stem=32, anchors=3):
    """yolov7-tiny.cfg."""
    cfg, stages = Cfg("leaky"), []

    def elan(width, filters):
        x = len(cfg.network) - 1
        part1 = cfg.conv(width)
        cfg.route(x)
        cfg.route(part1, cfg.conv(width), cfg.conv(width, 3), cfg.conv(width, 3))
        return cfg.conv(filters)

    cfg.conv(stem, 3, 2)
    cfg.conv(2 * stem, 3, 2)
    for index in range(1, 5):
        if index > 1:
            cfg.add("maxpool", size=2, stride=2)
        stages.append(elan(stem * 2 ** (index - 1), stem * 2**index))
    width = 8 * stem
    part1 = cfg.conv(width)
    cfg.route(stages[-1])
    cfg.conv(width)
    cfg.spp()
    cfg.route(part1, cfg.conv(width))
    cfg.conv(width)
    return cfg.neck(
        stages[-2:0:-1], [width, width // 2, width // 4], lambda width: elan(width // 2, width), True, anchors
    )
