"""Published figures, and the docstrings that are made of them."""

import inspect
from dataclasses import dataclass

REPOSITORY = "github.com/WongKinYiu/CrossStagePartialNetworks"  # of the paper, with its tables and cfgs


DOCSTRING = """{own}

{figures}

Args:
{arguments}

Returns:
    A functional `keras.Model`.

Raises:
    OSError: where weights can't be had or read.
    ValueError: for an argument that is none of these, naming it, and for weights that don't fit, naming where.
"""


@dataclass(frozen=True)
class Published:
    """A network's figures as published, in its own row.

    Attributes:
        source: where the figures are published.
        size: side of the input in pixels for all figures.
        params: published parameters in millions: of backbones those of the convolutions alone.
        trainable: parameters as Keras counts them, with as many classes as published; where there is no cfg, this
            network's own.
        bflops: by the authors' rule (`cspkeras.analysis`).
        top1, top5: accuracy on ImageNet in percent.
        ap, ap50, ap75: average precision on COCO in percent.
        cfg: the name of the cfg without its ending, where one was published.
        classes: 1000 of ImageNet, 80 of COCO.
    """

    source: str
    size: int
    params: float | None = None
    trainable: int | None = None
    bflops: float | None = None
    top1: float | None = None
    top5: float | None = None
    ap: float | None = None
    ap50: float | None = None
    ap75: float | None = None
    cfg: str | None = None
    classes: int = 1000

    def __str__(self):
        figures = {
            "{:.2f}M parameters": self.params,
            "{} BFLOPs": self.bflops,
            "top-1 {}": self.top1,
            "top-5 {}": self.top5,
            "AP {}": self.ap,
            "AP50 {}": self.ap50,
            "AP75 {}": self.ap75,
        }
        figures = ", ".join(text.format(figure) for text, figure in figures.items() if figure)
        counted = f"Trainable parameters with {self.classes:,} classes: {self.trainable:,}."
        if not figures:
            return f"{counted}\nSource: {self.source}."
        return f"{counted}\nPublished at {self.size}x{self.size}: {figures} ({self.source})."


def documented(variants, arguments):
    """A decorator that completes a constructor's docstring: the figures of its row, its arguments and its result.

    Args:
        variants: {constructor's name: `Spec`, or any with `published` and `stride`}.
        arguments: {argument's name: what it is}.
    """

    def complete(function):
        spec = variants[function.__name__]
        lines = (f"    {name}: {arguments[name]}" for name in inspect.signature(function).parameters)
        function.__doc__ = DOCSTRING.format(
            own=inspect.cleandoc(function.__doc__ or ""),
            figures=spec.published,
            arguments="\n".join(lines).replace("{stride}", str(spec.stride)),
        )
        return function

    return complete
