"""The docs' drawings of structure."""

from drawing import BLUE, GREEN, GREY, INK, ORANGE, arrow, blank, box, figure


def stages(path):
    """The paper's figure 2 within a whole network."""
    with figure(path, 9.5, 4.6) as ax:
        blank(ax, 19, 9)
        names = "image", "stem", "stage 1", "stage 2", "stage 3", "stage 4", "pooling,\nclassifier"
        xs = [1.3 + 2.7 * i for i in range(len(names))]
        for x, name in zip(xs, names, strict=True):
            box(ax, x, 8.2, name, BLUE if name.startswith("stage") else GREY, 2, 0.9)
        for a, b in zip(xs, xs[1:], strict=False):
            arrow(ax, (a + 1, 8.2), (b - 1, 8.2))
        ax.text(9.4, 7.15, "CSPPeleeNet: four stages, each divided and fused by itself", ha="center", fontsize=9)
        for corner, x in ((xs[3] - 1, 0.3), (xs[3] + 1, 18.7)):
            ax.plot([corner, x], [7.75, 6.5], color=BLUE, lw=0.8, ls=":")
        _stage(ax, 0.8, 3.3, "csp")
        ax.text(9.5, 0.35, "one stage: what the paper's figure 2(b) shows", ha="center", fontsize=10)
        ax.add_patch(_frame(0.3, 0.8, 18.4, 5.7))


def _frame(x, y, width, height):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor=BLUE, lw=0.8, ls=":")


def _stage(ax, x, y, fusion):
    """A stage from its entering map at (x, y) to the right; 17.4 wide, from 2 below y to 2 above."""
    upper, lower = y + 1.5, y - 1.5
    box(ax, x + 0.5, y, "c", GREY, 1, 1)
    arrow(ax, (x + 1, y), (x + 1.6, y), (x + 1.6, upper), (x + 2.2, upper))
    arrow(ax, (x + 1, y), (x + 1.6, y), (x + 1.6, lower), (x + 2.2, lower))
    box(ax, x + 3.2, upper, "1x1\npart 1, c/2", ORANGE, 2, 1)
    box(ax, x + 3.2, lower, "1x1\npart 2, c/2", BLUE, 2, 1)
    arrow(ax, (x + 4.2, lower), (x + 5, lower))
    for i, text in enumerate(("dense\nlayer 1", "dense\nlayer 2", "dense\nlayer m")):
        box(ax, x + 5.8 + 2.1 * i, lower, text, BLUE, 1.6, 1)
        if i:
            arrow(ax, (x + 4.5 + 2.1 * i, lower), (x + 5 + 2.1 * i, lower), style=":" if i == 2 else "-")
    end = x + 10.8
    if fusion != "fusion_first":
        arrow(ax, (end, lower), (end + 0.5, lower))
        box(ax, end + 1.1, lower, "T\n1x1", GREEN, 1.2, 1)
        end += 1.7
    arrow(ax, (end, lower), (x + 13.4, lower), (x + 13.4, y - 0.5))
    arrow(ax, (x + 4.2, upper), (x + 13.4, upper), (x + 13.4, y + 0.5))
    box(ax, x + 13.4, y, "concat", GREY, 1.4, 1)
    if fusion != "fusion_last":
        arrow(ax, (x + 14.1, y), (x + 14.7, y))
        box(ax, x + 15.4, y, "M\n1x1", GREEN, 1.2, 1)
        arrow(ax, (x + 16, y), (x + 17, y))
    else:
        arrow(ax, (x + 14.1, y), (x + 17, y))
    ax.text(x + 8.8, upper + 0.2, "crosses the stage", ha="center", fontsize=9, color=ORANGE)


def transitions(path):
    """The three fusions of the paper's figure 3."""
    titles = {
        "csp": "(b) CSP: transition T on part 2, concatenation, transition M",
        "fusion_first": "(c) fusion first: no T, one large M after the concatenation",
        "fusion_last": "(d) fusion last: T on part 2, nothing after the concatenation",
    }
    with figure(path, 9.5, 8) as ax:
        blank(ax, 19, 16)
        for i, (fusion, title) in enumerate(titles.items()):
            y = 13 - 5.3 * i
            ax.text(0.8, y + 2.45, title, fontsize=10)
            _stage(ax, 0.8, y, fusion)


def pooling(path):
    """Cross-channel pooling of eight channels to two."""
    colours = BLUE, ORANGE
    with figure(path, 9, 3.6) as ax:
        blank(ax, 18, 7)
        for k in range(8):
            box(ax, 2 + 1.6 * k, 5.2, f"{k}", colours[k % 2], 1.2, 1.2, 11)
            arrow(ax, (2 + 1.6 * k, 4.6), (5.2 if k % 2 == 0 else 10, 2.6), colour=colours[k % 2])
        for x, name, colour in ((5.2, "max of 0, 2, 4, 6", BLUE), (10, "max of 1, 3, 5, 7", ORANGE)):
            box(ax, x, 2, name, colour, 3.8, 1.2, 10)
        ax.text(2, 6.2, "8 channels of a map, at one pixel", fontsize=10)
        ax.text(2, 0.6, "out[g] = max over k of in[g + 2k]: 2 channels, no weights, no multiplication", fontsize=10)
        ax.text(14.4, 5.2, "4 values", va="center")
        ax.text(14.4, 2, "1 value: −75 %", va="center")


def fusion(path):
    """The Exact Fusion Model: what each scale's map is fused from."""
    levels = {"P2": (8.4, 4), "P3": (6, 8), "P4": (3.6, 16), "P5": (1.2, 32)}
    with figure(path, 9, 5.4) as ax:
        blank(ax, 18, 10.5)
        for title, x in (("backbone", 1.4), ("cross-channel pooling", 5), ("on the way down", 9), ("exact fusion", 13)):
            ax.text(x, 9.8, title, ha="center", fontsize=10)
        for level, (y, stride) in levels.items():
            box(ax, 1.4, y, f"{level}, stride {stride}", GREY, 2.4, 0.9)
            arrow(ax, (2.6, y), (4, y))
            box(ax, 5, y, "1x1, 3x3" if level == "P5" else "maxout 4:1", GREY if level == "P5" else ORANGE, 2, 0.9)
            if level == "P2":
                continue
            arrow(ax, (6, y), (8.1, y))
            box(ax, 9, y, f"D{level[1]}", BLUE, 1.8, 0.9)
            arrow(ax, (9.9, y), (12.1, y))
            box(ax, 13, y, f"F{level[1]}", GREEN, 1.8, 0.9)
            arrow(ax, (13.9, y), (15.4, y))
            box(ax, 16.4, y, f"head, /{stride}", GREY, 2, 0.9)
        for y in (1.2, 3.6):
            arrow(ax, (9, y + 0.45), (9, y + 1.95), colour=BLUE)  # coarser, upsampled
            arrow(ax, (9.9, y + 0.15), (11.2, y + 0.15), (11.2, y + 2.25), (12.1, y + 2.25), colour=BLUE)
        arrow(ax, (6, 5.7), (7.2, 5.7), (7.2, 3.9), (8.1, 3.9), colour=ORANGE)  # finer, strided
        for y in (6, 3.6):
            arrow(ax, (13, y - 0.45), (13, y - 1.95), colour=ORANGE)
        arrow(ax, (6, 8.4), (13, 8.4), (13, 6.45), colour=ORANGE)
        ax.text(13.6, 9, "next finer map, by a 3x3\nconvolution of stride 2", fontsize=9, color=ORANGE)
        ax.text(14, 2.2, "next coarser map,\nupsampled", fontsize=9, color=BLUE)


def dense(path):
    """A layer of DenseNet, one of PeleeNet, and how a block grows."""
    with figure(path, 9.5, 4.4) as ax:
        blank(ax, 19, 8.6)
        _dense_layer(ax, 0.3, "DenseNet's layer", (("1x1", "128"), ("3x3", "32")), None)
        _dense_layer(
            ax, 6.6, "PeleeNet's: two ways", (("1x1", "i"), ("3x3", "16"), ("3x3", "16")), (("1x1", "i"), ("3x3", "16"))
        )
        ax.text(13.4, 8, "a block of six layers, growth 32", fontsize=10)
        for i in range(7):
            y = 6.7 - i
            ax.add_patch(_bar(13.4, y, 64 / 64, GREY))
            if i:
                ax.add_patch(_bar(13.4 + 64 / 64, y, 32 * i / 64, BLUE))
            ax.text(13.55 + (64 + 32 * i) / 64, y + 0.3, f"{64 + 32 * i}", va="center", fontsize=9)
        ax.text(13.4, 0.15, "channels that enter each layer and the transition", fontsize=9)


def _bar(x, y, width, colour):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, 0.6, facecolor=colour, alpha=0.6)


def _dense_layer(ax, x, title, way, other):
    """A dense layer from below to above: its convolutions, and the map that goes past them."""
    ax.text(x, 8, title, fontsize=10)
    columns = [(x + 2.2, way, BLUE)] + ([(x + 4.2, other, GREEN)] if other else [])
    box(ax, x + 0.8, 0.7, "c channels", GREY, 1.9, 0.8)
    arrow(ax, (x + 0.8, 1.1), (x + 0.8, 6.3), colour=INK)
    for column, convolutions, colour in columns:
        arrow(ax, (x + 1.75, 0.7), (column, 0.7), (column, 1.6), colour=colour)
        for i, (kernel, filters) in enumerate(convolutions):
            box(ax, column, 2.05 + 1.5 * i, f"{kernel}, {filters}", colour, 1.5, 0.9)
            if i:
                arrow(ax, (column, 1 + 1.5 * i), (column, 1.6 + 1.5 * i), colour=colour)
        arrow(ax, (column, 1 + 1.5 * len(convolutions)), (column, 6.3), colour=colour)
    wide = 5.2 if other else 3.2
    box(ax, x + wide / 2 - 0.1, 6.7, "concat: c + 32", GREY, wide, 0.8)
