"""The paper's one idea: divide a stage's input, run the stage on one part, fuse (arXiv 1911.11929, section 3.1).

`y = M([T(F(x2)), x1])`: part 2 runs through the stage's blocks F and a transition T; part 1 crosses the stage; both
are concatenated, [part 2, part 1] as in every published cfg, and pass the transition M. Leaving out a transition
gives the two fusions of figure 3:

    csp            T, concatenate, M     both gradient paths are cut apart
    fusion_first   concatenate, M        figure 3(c): gradients are reused
    fusion_last    T, concatenate        figure 3(d): least compute at the end
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


def cross_stage(
    x,
    blocks,
    *,
    part_transition=None,
    transition=None,
    transition_name=None,
    pool=None,
    fusion="csp",
    gamma=0.5,
    activation="leaky_relu",
    name,
):
    """Run `blocks` on a part of `x` and fuse it with the part that crosses.

    The two parts are two 1x1 convolutions on the same input, as in the published cfgs; the author calls that equivalent
    to one of double width and a split.

    Args:
        x: KerasTensor (N, H, W, C), the stage's input; both parts together have C channels.
        blocks: function of a KerasTensor, the stage F.
        part_transition: channels of T; None keeps the width that F gives.
        transition: channels of M; None keeps the width of the concatenation.
        transition_name: name of M; None for `{name}_transition`.
        pool: function applied between the concatenation and M, or None.
        fusion: one of `FUSIONS`.
        gamma: the share of the channels that crosses the stage, bypassing the blocks; 0 < gamma < 1.
        activation: one of `blocks.ACTIVATIONS`, for the dividing convolutions and the transitions.
        name: prefix of the layers' names.

    Returns:
        KerasTensor, the next stage's input.
    """
    check_cross_stage(fusion, gamma)

    def pointwise(x, filters, name):
        return conv_bn_act(x, filters, 1, activation=activation, name=name)

    channels = x.shape[-1]
    crossing = round(channels * gamma)
    part1 = pointwise(x, crossing, f"{name}_part1")
    part2 = blocks(pointwise(x, channels - crossing, f"{name}_part2"))
    if fusion != "fusion_first":
        part2 = pointwise(part2, part_transition or part2.shape[-1], f"{name}_part2_transition")
    x = layers.Concatenate(name=f"{name}_fuse")([part2, part1])
    if pool is not None:
        x = pool(x)
    if fusion == "fusion_last":
        return x
    return pointwise(x, transition or x.shape[-1], transition_name or f"{name}_transition")
