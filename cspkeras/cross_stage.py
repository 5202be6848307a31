"""The paper's one idea: divide a stage's input, run the stage on one part, fuse (arXiv 1911.11929, section 3.1).

`y = M([T(F(x2)), x1])`: part 2 runs through the stage's blocks F and a transition T; part 1 crosses the stage; both
are concatenated, [part 2, part 1] as in every published cfg, and pass the transition M. Leaving out a transition
gives the two fusions of figure 3:

    csp            T, concatenate, M     both gradient paths are cut apart
    fusion_first   concatenate, M        figure 3(c): gradients are reused
    fusion_last    T, concatenate        figure 3(d): least compute at the end

`cross_stage` does all of it; a family that does something in between calls `divide` and `fuse` itself. `elan` is
YOLOv7's form of it.
"""

from keras import layers

from .blocks import conv_bn_act

FUSIONS = ("csp", "fusion_first", "fusion_last")


def check_cross_stage(fusion, gamma):
    """Raise a ValueError unless `fusion` is one of `FUSIONS` and `gamma` lies between 0 and 1."""
    if fusion not in FUSIONS:
        raise ValueError(f"fusion must be one of {', '.join(FUSIONS)}. Received: fusion={fusion!r}")
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie strictly between 0 and 1. Received: gamma={gamma!r}")


def part_widths(channels, gamma, multiple=1):
    """Return the widths of part 1 and part 2, together `channels`, each a positive multiple of `multiple`."""
    units = channels // multiple
    crossing = min(max(round(units * gamma), 1), units - 1) * multiple
    return crossing, channels - crossing


def divide(x, widths, *, activation="leaky_relu", name):
    """Divide a stage's input into part 1 and part 2, `widths` channels each.

    They are two 1x1 convolutions on the same input, as in the published cfgs; the author calls that equivalent to one
    of double width and a split.
    """
    return [conv_bn_act(x, width, activation=activation, name=f"{name}_part{i}") for i, width in enumerate(widths, 1)]


def fuse(
    part2,
    part1,
    *,
    part_transition=None,
    transition=None,
    transition_name=None,
    pool=None,
    fusion="csp",
    activation="leaky_relu",
    name,
):
    """Apply T to part 2, concatenate and apply M; the arguments are those of `cross_stage`."""

    def pointwise(x, filters, name):
        return conv_bn_act(x, filters or x.shape[-1], activation=activation, name=name)

    if fusion != "fusion_first":
        part2 = pointwise(part2, part_transition, f"{name}_part2_transition")
    x = layers.Concatenate(name=f"{name}_fuse")([part2, part1])
    if pool is not None:
        x = pool(x)
    return x if fusion == "fusion_last" else pointwise(x, transition, transition_name or f"{name}_transition")


def cross_stage(
    x, blocks, *, channels=None, multiple=1, gamma=0.5, fusion="csp", activation="leaky_relu", name, **transitions
):
    """Run `blocks` on a part of `x` and fuse it with the part that crosses.

    Args:
        x: KerasTensor (N, H, W, C), the stage's input.
        blocks: function of a KerasTensor, the stage F.
        channels: of both parts together; None for C.
        multiple: each part's width is a multiple of this.
        gamma: the share of the channels that crosses the stage, bypassing the blocks; 0 < gamma < 1.
        fusion: one of `FUSIONS`.
        activation: one of `blocks.ACTIVATIONS`, for the dividing convolutions and the transitions.
        name: prefix of the layers' names.
        part_transition: channels of T; None keeps the width that F gives.
        transition: channels of M; None keeps the width of the concatenation.
        transition_name: name of M; None for `{name}_transition`.
        pool: function applied between the concatenation and M, or None.

    Returns:
        KerasTensor, the next stage's input.
    """
    check_cross_stage(fusion, gamma)
    widths = part_widths(channels or x.shape[-1], gamma, multiple)
    part1, part2 = divide(x, widths, activation=activation, name=name)
    return fuse(blocks(part2), part1, fusion=fusion, activation=activation, name=name, **transitions)


def elan(x, width, filters, *, activation="leaky_relu", name):
    """Apply ELAN (arXiv 2211.04800): a cross stage that concatenates the outputs of all its convolutions.

    Both parts and the two 3x3 convolutions have `width` channels, the transition M has `filters`.
    """
    maps = divide(x, (width, width), activation=activation, name=name)
    for i in (1, 2):
        maps.append(conv_bn_act(maps[-1], width, 3, activation=activation, name=f"{name}_conv{i}"))
    x = layers.Concatenate(name=f"{name}_fuse")(maps)
    return conv_bn_act(x, filters, activation=activation, name=f"{name}_transition")
