"""The figures of a network's row, and the docstrings that are made from them."""

import inspect
from dataclasses import dataclass

from .weights.published.named import by_name
from .weights.published.rows import PUBLISHED

REPOSITORY = "github.com/WongKinYiu/CrossStagePartialNetworks"  # of the paper, with its tables and cfgs
DOCSTRING = """{own}

{figures}

Args:
{arguments}

Returns:
    {returns}

Raises:
    OSError: if weights can't be fetched or read.
    ValueError: for a wrong argument, naming it, and for weights that don't fit, naming where.

Example:
    >>> import cspkeras
{example}
"""


@dataclass(frozen=True)
class Published:
    """A network's figures, in its own row: as published, and as counted here where that differs."""

    source: str  # where the figures are published
    size: int  # side of the input in pixels for all figures; of the accuracy where `tested` is None
    params: float | None = None  # published, in millions; of a backbone the convolutions' alone
    # parameters as Keras counts them, with the published number of classes; without a cfg those counted here
    trainable: int | None = None
    bflops: float | None = None  # by the authors' rule (`cspkeras.analysis`)
    # BFLOPs of this network, where the published figure is missing or counts by another rule
    counted: float | None = None
    tested: int | None = None  # side of the input for the accuracy, where it is another
    top1: float | None = None  # accuracy on ImageNet in percent
    top5: float | None = None
    ap: float | None = None  # average precision on COCO in percent
    ap50: float | None = None
    ap75: float | None = None
    cfg: str | None = None  # the name of the cfg without its ending, where one was published
    classes: int = 1000  # 1000 of ImageNet, 80 of COCO
    pyramid: tuple[int, ...] = ()  # channels of each level of a backbone's pyramid; the last level is P5

    def __str__(self) -> str:
        at = f" at {self.tested}x{self.tested}" if self.tested else ""
        texts = {
            "{:.2f}M parameters": self.params,
            "{} BFLOPs": self.bflops,
            f"top-1 {{}}{at}": self.top1,
            f"top-5 {{}}{at}": self.top5,
            "AP {}": self.ap,
            "AP50 {}": self.ap50,
            "AP75 {}": self.ap75,
        }
        figures = ", ".join(text.format(figure) for text, figure in texts.items() if figure)
        counted = f"Trainable parameters with {self.classes:,} classes: {self.trainable:,}."
        if not figures:
            return f"{counted}\nSource: {self.source}."
        return f"{counted}\nPublished at {self.size}x{self.size}: {figures} ({self.source})."


def documented(variants, arguments, returns, example):
    """Return a decorator that lets a constructor take published weights by name, and completes its docstring.

    The docstring gets the figures of its row, its arguments, its result and an example. `variants` has the rows by
    constructor, `arguments` the descriptions by argument, where "{stride}" stands for the row's and "{name}", as in the
    example, for the constructor's name.
    """

    def complete(function):
        name, spec = function.__name__, variants[function.__name__]
        names = " or ".join(
            f'"{one}" ({file.license})' for one, file in PUBLISHED.get(name, {}).items() if file.license
        )
        told = arguments | (
            {"weights": f"{names}, published and fetched by name; {arguments['weights']}"} if names else {}
        )
        lines = "\n".join(f"    {one}: {told[one]}" for one in inspect.signature(function).parameters)
        function.__doc__ = DOCSTRING.format(
            own=inspect.cleandoc(function.__doc__ or ""),
            figures="\n".join(str(part) for part in (spec.published, spec.preparation) if part),
            arguments=lines.replace("{stride}", str(spec.stride)).replace("{name}", name),
            returns=returns,
            example="\n".join(f"    {line}" for line in example.replace("{name}", name).splitlines()),
        )
        return by_name(function)

    return complete
